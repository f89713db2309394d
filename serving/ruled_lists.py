"""Ready lists as they may be shown now: what rules block and what is sold out is taken out.

A list may lie in Redis for a week. It is made anew at the shopper's next event; until then whoever
reads it here sees it as the rules of now allow. Where nothing is to be taken out the bytes go
through as they are.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from endcap.catalogue import CatalogueItem
from endcap.lists import RecommendationList, Shelf, decode_list, encode_list, made_at_ms
from endcap.rules import DEFAULT_PLACEMENT
from endcap.serving import metrics as measures
from endcap.serving import rules_metrics as metrics
from endcap.serving.list_reader import ListReader
from endcap.serving.shop_rules import ShopRules
from endcap.serving.shown_items import ShownItems
from endcap.serving.shown_list import row_ids, shown
from endcap.serving.tails import HEAD_OF_OWN


class RuledLists:
    """A reader of lists in the place of the one that it wraps, at one placement."""

    def __init__(
        self,
        lists: ListReader,
        shop: ShopRules | None = None,
        placement: str = DEFAULT_PLACEMENT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Without a `shop` only what is sold out is taken out. `clock`: seconds since 1970, for the
        windows of rules."""
        self._lists = lists
        self._shop = shop or ShopRules()
        self._clock = clock
        self._items = ShownItems(lists, self._shop, placement, clock)

    def at(self, placement: str) -> "RuledLists":
        """The same lists at another placement."""
        return RuledLists(self._lists, self._shop, placement, self._clock)

    async def shown_list(self, user_id: str) -> bytes | None:
        """A user's own list as an answer, with the facts of its items; None as in `raw_list`."""
        raw = await self._lists.raw_list(user_id)
        if raw is None:
            return None
        self._observe_age(raw)
        body = self._joined(raw)
        return body if body is not None else await self._shown_by_rules(raw)

    def tell_shown(self, user_id: str, heard: Callable[[bytes | None], None]) -> bool:
        """Call `heard` with the same, where all of it is known; with None where it is not, and
        `shown_list` has to be asked. False: that has to be done now, and `heard` is not called."""

        def found(raw: object) -> None:
            body = None
            try:
                if isinstance(raw, bytes) and (body := self._joined(raw)) is not None:
                    self._observe_age(raw)
            except ValueError:
                body = None  # no list of ours: `shown_list` says so
            heard(body)

        return self._lists.tell_list(user_id, found)

    def tell_list(self, _user_id: str, _heard: Callable[[object], None]) -> bool:
        """See `ListReader`: by rules a list may have to be read item by item."""
        return False

    async def raw_list(self, user_id: str) -> bytes | None:
        """A user's own list; None where there is none, or nothing of it may be shown."""
        raw = await self._lists.raw_list(user_id)
        return None if raw is None else await self._ruled(raw)

    async def trending(self) -> RecommendationList | None:
        """The fallback for everybody."""
        return await self._allowed(await self._lists.trending())

    async def shelf(self, shelf: Shelf) -> RecommendationList | None:
        """One of the lists that are nobody's own."""
        return await self._allowed(await self._lists.shelf(shelf))

    async def items(self, ids: Sequence[str]) -> dict[str, CatalogueItem]:
        """Facts of several items."""
        return await self._lists.items(ids)

    async def some_users(self, n: int) -> list[str]:
        """Users that have a list."""
        return await self._lists.some_users(n)

    async def ping(self) -> bool:
        """Whether the store answers."""
        return await self._lists.ping()

    async def with_facts(self, source: str, ready: RecommendationList) -> bytes:
        """Any list as an answer; nothing is taken out."""
        tails = await self._items.tails_of([item.id for item in ready.items])
        return shown(source, encode_list(ready), tails)

    def _joined(self, raw: bytes) -> bytes | None:
        return self._items.tails().joined(HEAD_OF_OWN, raw)

    def _observe_age(self, raw: bytes) -> None:
        age_s = self._clock() - made_at_ms(raw) / 1000
        measures.SHOWN_AGE_SECONDS.observe(max(0.0, age_s))

    async def _shown_by_rules(self, raw: bytes) -> bytes | None:
        left = await self._ruled(raw)  # now all of its items are known, if only for a moment
        if left is None:
            return None
        body = self._joined(left)
        if body is None:
            body = shown("own", left, await self._items.tails_of(row_ids(left)))
        return body

    async def _ruled(self, raw: bytes) -> bytes | None:
        out = await self._items.out_of(row_ids(raw))
        if not out:
            return raw
        left = _without(decode_list(raw), out)
        return encode_list(left) if left.items else None

    async def _allowed(self, ready: RecommendationList | None) -> RecommendationList | None:
        if ready is None:
            return None
        out = await self._items.out_of([item.id for item in ready.items])
        return _without(ready, out) if out else ready


def _without(ready: RecommendationList, out: Mapping[str, str]) -> RecommendationList:
    for item in ready.items:
        if item.id in out:
            metrics.TAKEN_OUT.labels(out[item.id]).inc()
    kept = tuple(item for item in ready.items if item.id not in out)
    return msgspec.structs.replace(ready, items=kept)
