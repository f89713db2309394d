"""Proposals of prices: who made them, who approved them, and the way back."""

import asyncio
import getpass
import json
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import uuid4

import typer

from endcap.deploy.printed import Json, screen
from endcap.deploy.printed import show as show_result
from endcap.deploy.settings import Settings, load_settings
from endcap.errors import EndcapError
from endcap.prices import PriceLine, PriceProposal, Status, Step

ProposalId = Annotated[str, typer.Argument(help="As `endcap price proposals` lists it.")]
Who = Annotated[str, typer.Option(help="Who decides: it stays in the log.")]
_T = TypeVar("_T")


def register(app: typer.Typer) -> None:
    """Add the commands to `endcap price`."""
    app.command()(proposals)
    app.command()(approve)
    app.command()(refuse)
    app.command()(rollback)


def propose(settings: Settings, found: dict[str, Any], who: str) -> dict[str, Any]:
    """Publish the changed prices of a suggestion as a proposal; returns it as JSON.

    Raises:
        EndcapError: nothing would change.
        BrokerUnavailableError: no broker answers.
    """
    from endcap.streams.price_topic import propose as publish

    proposal = proposal_of(found, _name(who))
    asyncio.run(publish(settings.broker, settings.topics, proposal))
    return told(proposal)


def proposal_of(found: dict[str, Any], who: str) -> PriceProposal:
    """The changed prices of a suggestion as a proposal that waits for approval.

    Raises:
        EndcapError: nothing would change.
    """
    lines = tuple(
        PriceLine(row["item_id"], row["price_today"], row["price"])
        for row in found["items"]
        if row["price"] != row["price_today"]
    )
    if not lines:
        raise EndcapError("No price would change: there is nothing to propose.")
    gain = found["gain"]
    evidence = {name: f"{gain[name]['expected']:+.2f} a week" for name in ("revenue", "margin")}
    return PriceProposal(
        proposal_id=f"{datetime.now(UTC):%Y%m%d}-{uuid4().hex[:8]}",
        category=found["category"],
        lines=lines,
        steps=(Step("proposed", who, now_ms()),),
        evidence=evidence | {"costs": found["costs"]},
    )


def proposals(as_json: Json = False) -> None:
    """Every proposal: what it is now, by whom, and its prices.

    Example: endcap price proposals --json
    """
    from endcap.streams.price_topic import read_proposals

    settings = load_settings()
    found = _asked(read_proposals(settings.broker, settings.topics))
    if as_json:
        print(json.dumps({"proposals": [told(one) for one in found]}))
        return
    from rich.table import Table

    table = Table("proposal", "category", "prices", "status", "who", "when (UTC)")
    for one in found:
        last = one.steps[-1]
        table.add_row(
            *(one.proposal_id, one.category, str(len(one.lines))),
            *(last.status.replace("_", " "), last.who, _when(last)),
        )
    screen.print(table)


def approve(proposal_id: ProposalId, who: Who = "", as_json: Json = False) -> None:
    """Put a proposal in force: its prices go into the catalogue topic, for everyone.

    Example: endcap price approve 20261127-1f2e3d4c --who ben
    """
    _decide(proposal_id, "approved", who, as_json)


def refuse(proposal_id: ProposalId, who: Who = "", as_json: Json = False) -> None:
    """Refuse a proposal; no price changes.

    Example: endcap price refuse 20261127-1f2e3d4c --who ben
    """
    _decide(proposal_id, "refused", who, as_json)


def rollback(proposal_id: ProposalId, who: Who = "", as_json: Json = False) -> None:
    """Take an approved proposal back: its items cost what they cost before.

    Example: endcap price rollback 20261127-1f2e3d4c --who ben
    """
    _decide(proposal_id, "rolled_back", who, as_json)


def told(proposal: PriceProposal) -> dict[str, Any]:
    """A proposal as JSON."""
    return {
        "proposal_id": proposal.proposal_id,
        "category": proposal.category,
        "status": proposal.status,
        "steps": [
            {"status": one.status, "who": one.who, "at": _when(one)} for one in proposal.steps
        ],
        "prices": [
            {
                "item_id": line.item_id,
                "old_price": line.old_price,
                "new_price": line.new_price,
                "store_id": line.store_id,
            }
            for line in proposal.lines
        ],
        "evidence": proposal.evidence,
    }


def _decide(proposal_id: str, status: Status, who: str, as_json: bool) -> None:
    from endcap.streams.price_topic import decide

    settings = load_settings()
    decided = _asked(
        decide(settings.broker, settings.topics, proposal_id, status, _name(who), now_ms())
    )
    show_result(told(decided), as_json)


def _asked(what: Awaitable[_T]) -> _T:
    async def asked() -> _T:
        return await what

    return asyncio.run(asked())


def _name(who: str) -> str:
    return name_of(who or getpass.getuser(), "--who")


def name_of(who: str, where: str) -> str:
    """Who proposes or decides, as it stays in the log; `where` it was given.

    Raises:
        EndcapError: it is empty, too long or not printable.
    """
    name = who.strip()
    if not name or len(name) > 100 or not name.isprintable():
        raise EndcapError(f"{where} takes a name of at most 100 letters.")
    return name


def now_ms() -> int:
    """Unix milliseconds."""
    return int(time.time() * 1000)


def _when(one: Step) -> str:
    return f"{datetime.fromtimestamp(one.at_ms / 1000, UTC):%FT%TZ}"
