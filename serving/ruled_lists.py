"""Ready lists as they may be shown now: what rules block and what is sold out is taken out.

A list may lie in Redis for a week. It is made anew at the shopper's next event; until then whoever
reads it here sees it as the rules of now allow. Where nothing is to be taken out the bytes go
through as they are.
"""

import time
from collections.abc import Callable, Sequence

import msgspec

from endcap.catalogue import CatalogueItem
from endcap.lists import RecommendationList, Shelf, decode_list, encode_list
from endcap.rules import DEFAULT_PLACEMENT, RuleSet
from endcap.rules.effects import Effects
from endcap.rules.windows import in_force
from endcap.serving import rules_metrics as metrics
from endcap.serving.facts import Facts
from endcap.serving.list_reader import ListReader
from endcap.serving.shop_rules import ShopRules
from endcap.serving.shown_list import row_ids

MAX_AGE_S = 5.0
"""What is known of an item's price, category and stock may be so old; a change of rules holds at
once."""
WINDOWS_S = 1.0
MAX_ITEMS = 100_000


class RuledLists:
    """A reader of lists in the place of the one that it wraps, at one placement."""

    def __init__(
        self,
        lists: ListReader,
        shop: ShopRules,
        placement: str = DEFAULT_PLACEMENT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock`: seconds since 1970, for the windows of rules."""
        self._lists = lists
        self._shop = shop
        self._placement = placement
        self._clock = clock
        self._rules: RuleSet | None = None
        self._effects = Effects(())
        self._open: tuple[str, ...] = ()
        self._looked_s = self._since_s = 0.0
        self._may: set[str] = set()
        self._out: dict[str, str] = {}

    def at(self, placement: str) -> "RuledLists":
        """The same lists at another placement."""
        return RuledLists(self._lists, self._shop, placement, self._clock)

    async def raw_list(self, user_id: str) -> bytes | None:
        """A user's own list; None where there is none, or nothing of it may be shown."""
        raw = await self._lists.raw_list(user_id)
        if raw is None:
            return None
        ids = row_ids(raw)
        if ids is None:
            ids = [item.id for item in decode_list(raw).items]
        why = await self._why_out_of(ids)
        if why is None:
            return raw
        left = _without(decode_list(raw), why)
        return encode_list(left) if left.items else None

    async def trending(self) -> RecommendationList | None:
        """The fallback for everybody."""
        return await self._allowed(await self._lists.trending())

    async def shelf(self, shelf: Shelf) -> RecommendationList | None:
        """One of the lists that are nobody's own."""
        return await self._allowed(await self._lists.shelf(shelf))

    async def facts(self, ids: Sequence[str]) -> list[Facts]:
        """What is shown of several items, in their order."""
        return await self._lists.facts(ids)

    async def items(self, ids: Sequence[str]) -> dict[str, CatalogueItem]:
        """Facts of several items."""
        return await self._lists.items(ids)

    async def some_users(self, n: int) -> list[str]:
        """Users that have a list."""
        return await self._lists.some_users(n)

    async def ping(self) -> bool:
        """Whether the store answers."""
        return await self._lists.ping()

    async def _allowed(self, ready: RecommendationList | None) -> RecommendationList | None:
        if ready is None:
            return None
        why = await self._why_out_of([item.id for item in ready.items])
        return ready if why is None else _without(ready, why)

    async def _why_out_of(self, ids: Sequence[str]) -> dict[str, str] | None:
        """By item, why it must not be shown, at least of these; None where all may."""
        self._refresh()
        may, out = self._may, self._out
        if may.issuperset(ids):
            return None
        unseen = [item_id for item_id in ids if item_id not in may and item_id not in out]
        found = await self._lists.items(unseen) if unseen else {}
        for item_id in unseen:
            why = self._why(found.get(item_id) or CatalogueItem(item_id, item_id))
            if why:
                out[item_id] = why
            else:
                may.add(item_id)
        return None if may.issuperset(ids) else out

    def _why(self, item: CatalogueItem) -> str:
        if item.is_sold_out:
            return "sold_out"
        return "blocked" if self._effects.of(item).blocked else ""

    def _refresh(self) -> None:
        now_s, rules = self._clock(), self._shop.rules
        if rules is not self._rules or not 0 <= now_s - self._looked_s < WINDOWS_S:
            open_now = in_force(rules.rules, self._placement, int(now_s * 1000), rules.zone)
            names = tuple(rule.name for rule in open_now)
            if rules is not self._rules or names != self._open:
                self._effects = Effects(rule for rule in open_now if rule.action == "block")
                self._may, self._out = set(), {}
            self._rules, self._open, self._looked_s = rules, names, now_s
        is_full = len(self._may) + len(self._out) > MAX_ITEMS
        if is_full or not 0 <= now_s - self._since_s < MAX_AGE_S:
            self._may, self._out, self._since_s = set(), {}, now_s


def _without(ready: RecommendationList, why: dict[str, str]) -> RecommendationList:
    for item in ready.items:
        if item.id in why:
            metrics.TAKEN_OUT.labels(why[item.id]).inc()
    kept = tuple(item for item in ready.items if item.id not in why)
    return msgspec.structs.replace(ready, items=kept)
