"""Prices for the back office: evidence, suggestions at today's prices, proposals and decisions."""

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from endcap.deploy.price_data import load_evidence, need_pricing
from endcap.deploy.price_decisions_cli import name_of, now_ms, proposal_of
from endcap.deploy.price_decisions_cli import told as told_proposal
from endcap.deploy.price_told import told_categories, told_elasticities
from endcap.deploy.settings import Settings
from endcap.errors import ConnectionFailedError, DataError, EndcapError
from endcap.prices import PriceProposalError
from endcap.serving.office_desks import Decision, Objective, Told
from endcap.streams.price_topic import catalogue_prices, decide, propose, read_proposals

if TYPE_CHECKING:
    from endcap.pricing.suggest import Evidence

_KEPT = 8
"""Suggestions that are held: who proposes one has just looked at it."""


class _Held(NamedTuple):
    """Evidence, and which file it was read from: a new one is another evidence."""

    stamp: tuple[int, int]
    evidence: "Evidence"


class Prices:
    """Implements the server's `PriceDesk`. One computation at a time: lists go before prices."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held: _Held | None = None
        self._suggested: dict[bytes, Told] = {}
        self._computing = asyncio.Lock()

    async def categories(self) -> Told:
        """The categories of the evidence, or what is missing."""
        async with self._computing:
            try:
                evidence = await self._evidence()
            except ConnectionFailedError:
                raise
            except EndcapError as error:
                return {"is_ready": False, "note": str(error), "categories": []}
        # Sorted by name: somebody looks for one.
        found = sorted(told_categories(evidence.panel), key=lambda row: str(row["category"]))
        return {"is_ready": True, "note": "", "categories": found}

    async def elasticities(self, category: str) -> Told:
        """As `endcap price elasticity`.

        Raises:
            EndcapError: there is no evidence yet, or no such category.
        """
        async with self._computing:
            return told_elasticities(await self._evidence(), category)

    async def suggestions(self, category: str, objective: Objective) -> Told:
        """As `endcap price suggest`, at the prices that the catalogue has now.

        Raises:
            EndcapError: there is no evidence yet, no such category, or the rules are wrong.
            BrokerUnavailableError: no broker answers.
        """
        prices = await catalogue_prices(self._settings.broker, self._settings.topics)
        async with self._computing:
            evidence = await self._evidence()
            rows = evidence.panel.places_of(category)
            today = {
                item.item_id: prices.get(item.item_id)
                for item in (evidence.panel.items[int(row)] for row in rows)
            }
            asked = (category.casefold(), objective, self._stamp(), self._rules_text(), today)
            key = hashlib.sha256(msgspec.json.encode(asked)).digest()
            if key not in self._suggested:
                made = await asyncio.to_thread(self._suggest, evidence, category, objective, prices)
                while len(self._suggested) >= _KEPT:
                    del self._suggested[next(iter(self._suggested))]
                self._suggested[key] = made
            return self._suggested[key]

    async def propose(
        self, category: str, objective: Objective, suggestion_id: str, who: str
    ) -> Told:
        """As `--apply`.

        Raises:
            PriceProposalError: what was seen is no longer what would be proposed.
            EndcapError: nothing would change, or the name is no name.
            BrokerUnavailableError: no broker answers.
        """
        name = name_of(who, "The name")
        found = await self.suggestions(category, objective)
        if found["suggestion_id"] != suggestion_id:
            raise PriceProposalError(
                "Prices or evidence have changed since this suggestion was shown: nothing was "
                "proposed. Look at the new one."
            )
        proposal = proposal_of(found, name)
        await propose(self._settings.broker, self._settings.topics, proposal)
        return told_proposal(proposal)

    async def proposals(self) -> Told:
        """As `endcap price proposals`."""
        found = await read_proposals(self._settings.broker, self._settings.topics)
        return {"proposals": [told_proposal(one) for one in found]}

    async def decide(self, proposal_id: str, decision: Decision, who: str) -> Told:
        """As `endcap price approve`, `refuse` and `rollback`.

        Raises:
            PriceProposalError: it cannot become that.
            BrokerUnavailableError: no broker answers.
        """
        name = name_of(who, "The name")
        broker, topics = self._settings.broker, self._settings.topics
        return told_proposal(await decide(broker, topics, proposal_id, decision, name, now_ms()))

    def _suggest(
        self, evidence: "Evidence", category: str, objective: Objective, prices: dict[str, float]
    ) -> Told:
        from endcap.pricing.rules import read_rules
        from endcap.pricing.suggest import suggest, with_prices

        rules = msgspec.structs.replace(
            read_rules(self._settings.price_rules_file), objective=objective
        )
        found = suggest(with_prices(evidence, prices), category, rules)
        seen = [(row["item_id"], row["price_today"], row["price"]) for row in found["items"]]
        named = hashlib.sha256(msgspec.json.encode((found["category"], seen))).hexdigest()
        return found | {"suggestion_id": named[:16]}

    async def _evidence(self) -> "Evidence":
        """What the file holds; read again where it is another one."""
        need_pricing()
        stamp = self._stamp()
        if self._held is None or self._held.stamp != stamp:
            file = self._settings.price_evidence_path
            self._held = None  # two of them at once would be twice the memory
            evidence = await asyncio.to_thread(load_evidence, None, file)
            self._held = _Held(stamp, evidence)
        return self._held.evidence

    def _stamp(self) -> tuple[int, int]:
        file = self._settings.price_evidence_path
        try:
            found = file.stat()
        except OSError as error:
            raise DataError(
                f"There is no price evidence yet ({file}: {error.strerror}). "
                f"`endcap price learn --out {file}` makes it, in about a minute; the demo is "
                "preparing it in the background."
            ) from error
        return found.st_mtime_ns, found.st_size

    def _rules_text(self) -> Any:
        """Other rules, other suggestions."""
        file = self._settings.price_rules_file
        if file is None:
            return None
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{file} cannot be read: {error}.") from error
