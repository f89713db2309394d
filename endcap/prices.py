"""Prices that are proposed, approved, refused or rolled back: one price an item, for everyone.

A proposal knows items and stores. It has no field for a person, and one with such a field is no
proposal: a price must not hang on who looks (docs/ethics.md).
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from endcap.errors import EndcapError

Status = Literal["proposed", "approved", "refused", "rolled_back"]
_NEXT: Mapping[Status, tuple[Status, ...]] = {
    "proposed": ("approved", "refused"),
    "approved": ("rolled_back",),
    "refused": (),
    "rolled_back": (),
}


class PriceProposalError(EndcapError):
    """A proposal that does not exist, is malformed, or cannot become what was asked for."""


class PriceLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An item's price before and after, in the shop's currency. `store_id`: '' is every store."""

    item_id: str
    old_price: float
    new_price: float
    store_id: str = ""

    def __post_init__(self) -> None:
        for price in (self.old_price, self.new_price):
            if not 0 < price < 1e7:
                raise ValueError(f"the price of {self.item_id} must be above 0, not {price:g}")


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who made the proposal what it became, and when (Unix milliseconds)."""

    status: Status
    who: str
    at_ms: int


class PriceProposal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prices that change together. The last of `steps` is what it is now; `evidence` is told, not
    read."""

    proposal_id: str
    category: str
    lines: tuple[PriceLine, ...]
    steps: tuple[Step, ...]
    evidence: dict[str, str] = {}

    def __post_init__(self) -> None:
        places = [(line.item_id, line.store_id) for line in self.lines]
        if not places or len(set(places)) < len(places):
            raise ValueError(
                "a proposal has one price for each of its items, and one item at least"
            )
        if not self.steps or self.steps[0].status != "proposed":
            raise ValueError("a proposal begins as proposed")

    @property
    def status(self) -> Status:
        """What it is now."""
        return self.steps[-1].status


def step(proposal: PriceProposal, status: Status, who: str, at_ms: int) -> PriceProposal:
    """The proposal after a decision.

    Raises:
        PriceProposalError: it cannot become that; a repeat is told as one.
    """
    if status not in _NEXT[proposal.status]:
        last = proposal.steps[-1]
        raise PriceProposalError(
            f"Proposal {proposal.proposal_id} was {last.status.replace('_', ' ')} by {last.who}; "
            f"it cannot become {status.replace('_', ' ')}. "
            "`endcap price proposals` lists what waits."
        )
    if not who.strip() or len(who) > 100 or not who.isprintable():
        raise PriceProposalError("--who takes a name of at most 100 letters.")
    taken = (*proposal.steps, Step(status, who.strip(), at_ms))
    return msgspec.structs.replace(proposal, steps=taken)


def clashes(proposal: PriceProposal, others: Sequence[PriceProposal]) -> tuple[str, ...]:
    """Items of an approved proposal whose price a later approved one has changed since: rolling
    this one back would undo the other's work."""
    mine = {(line.item_id, line.store_id) for line in proposal.lines}
    when = proposal.steps[-1].at_ms
    later = {
        (line.item_id, line.store_id)
        for other in others
        if other.status == "approved"
        and other.proposal_id != proposal.proposal_id
        and other.steps[-1].at_ms >= when
        for line in other.lines
    }
    return tuple(sorted(item for item, _ in mine & later))


_decoder = msgspec.json.Decoder(PriceProposal)


def encode_proposal(proposal: PriceProposal) -> bytes:
    """JSON bytes for the topic `endcap.prices`."""
    return msgspec.json.encode(proposal)


def decode_proposal(raw: bytes) -> PriceProposal:
    """The inverse of `encode_proposal`.

    Raises:
        msgspec.ValidationError: a field is missing, unknown, or of the wrong type.
    """
    return _decoder.decode(raw)
