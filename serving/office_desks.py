"""What the back office asks: ports that deploy/ fills with the functions of the command line.

Answers are JSON values as `--json` prints them, so that a figure is computed in one place.
"""

from typing import Any, Literal, NamedTuple, Protocol

Objective = Literal["margin", "revenue"]
Decision = Literal["approved", "refused", "rolled_back"]
Told = dict[str, Any]


class PriceDesk(Protocol):
    """Evidence, suggestions and proposals. Methods raise `EndcapError` with what to do."""

    async def categories(self) -> Told:
        """`is_ready`, `note` (what is missing, where it is not), `categories`."""
        ...

    async def elasticities(self, category: str) -> Told:
        """How demand answers to price and promotion, item by item."""
        ...

    async def suggestions(self, category: str, objective: Objective) -> Told:
        """Prices against those of the catalogue now; `suggestion_id` names exactly these."""
        ...

    async def propose(
        self, category: str, objective: Objective, suggestion_id: str, who: str
    ) -> Told:
        """Publish a suggestion as a proposal, where it is still the same."""
        ...

    async def proposals(self) -> Told:
        """Every proposal as it is now, oldest first."""
        ...

    async def decide(self, proposal_id: str, decision: Decision, who: str) -> Told:
        """Approve, refuse or roll back."""
        ...


class SegmentDesk(Protocol):
    """Shoppers by state and tier."""

    async def counts(self) -> Told:
        """`is_ready`, `note`, and how many shoppers are in each of `states` and `tiers`."""
        ...

    async def segment(self, user_id: str) -> Told | None:
        """One shopper's, with the state of now."""
        ...


class ConversationDesk(Protocol):
    """What customers asked and were told."""

    async def newest(self, hand_overs_alone: bool) -> Told:
        """`conversations`: hand-overs first, the newest first in each part."""
        ...


class StatusDesk(Protocol):
    """Models, experiments and lists."""

    async def now(self) -> Told:
        """The model in use and its figures, its shadow, experiments, how fresh lists are."""
        ...

    async def experiment(self, name: str) -> Told:
        """An experiment's report, counted from the topics."""
        ...


class Office(NamedTuple):
    """The desks."""

    prices: PriceDesk
    segments: SegmentDesk
    conversations: ConversationDesk
    status: StatusDesk
