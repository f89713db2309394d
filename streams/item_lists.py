"""What the sink does not have yet: items, and lists that changed; written in bounded batches."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Protocol

from xxhash import xxh3_64_intdigest

from endcap.catalogue import CatalogueItem
from endcap.errors import StoreUnavailableError
from endcap.lists import SHELF_TTL_S, ListItem, RecommendationList, Shelf, encode_list
from endcap.messages import ENGLISH, Messages
from endcap.streams.demand import Demand
from endcap.streams.item_metrics import GIVEN_UP, LISTS_WAITING, LISTS_WRITTEN
from endcap.streams.shop_catalogue import ShopCatalogue
from endcap.trending import EVERYBODY

log = logging.getLogger(__name__)

TOP_N = 20
WRITE_BATCH = 200
SHELVES_A_FLUSH = 1000
"""A list costs about 0.1 ms of this process; a flush leaves time for what comes in."""
SIMILAR_EVERY = 5
"""Flushes. A purchase moves the lists of all its items: together they are fewer."""
REFRESH_S = SHELF_TTL_S / 2
"""A list that does not change is written again before it expires."""
MAX_CATEGORIES = 10_000
_NOW = Shelf("now")


class ItemSink(Protocol):
    """Where the lists go. Streams do not know that it is Redis."""

    async def write_trending(self, ready: RecommendationList) -> None:
        """Replace the list for everybody."""

    async def write_shelves(self, lists: Mapping[Shelf, RecommendationList | None]) -> None:
        """Replace lists that are nobody's own; None takes one down."""

    async def write_items(self, items: Sequence[CatalogueItem]) -> None:
        """Write items as the shop shows them."""

    async def delete_items(self, ids: Sequence[str]) -> None:
        """Forget items that the shop no longer sells."""


class ItemLists:
    """Looks at what moved in `demand` and `catalogue`, and writes what looks different for it.

    What waits is lost in a crash: after a restart everything counts as moved.
    """

    def __init__(
        self,
        sink: ItemSink,
        demand: Demand,
        catalogue: ShopCatalogue,
        messages: Messages = ENGLISH,
    ) -> None:
        self._sink = sink
        self._say = messages.say
        self._demand = demand
        self._catalogue = catalogue
        self._items: dict[str, None] = {}
        self._waiting: dict[Shelf, None] = {}
        self._similar: set[str] = set()
        """Items whose list of similar ones waits for its turn."""
        self._flushes = 0
        self._trending_waits = True
        self._trending: tuple[ListItem, ...] = ()
        self._written: dict[Shelf, tuple[int, float]] = {}
        """A digest of each list as the sink has it, and when it was written: oldest first."""
        self._shown_on: dict[str, set[str]] = {}
        """By item: on whose lists of similar items it is shown."""
        self._shown: dict[str, set[str]] = {}
        """What those lists show."""

    async def flush(self) -> None:
        """Write items, the list for everybody, then others; a sink away is tried again."""
        self._look()
        try:
            while batch := list(islice(self._items, WRITE_BATCH)):
                await self._write_items(batch)
            if self._trending_waits:
                await self._write_trending()
            for _ in range(SHELVES_A_FLUSH // WRITE_BATCH):
                if shelves := list(islice(self._waiting, WRITE_BATCH)):
                    await self._write_shelves(shelves)
        except StoreUnavailableError as error:
            log.warning("lists are kept until the store is back: %s", error)
        LISTS_WAITING.set(len(self._waiting))

    def _look(self) -> None:
        """Mark what may look different."""
        moved = self._demand.take_moved()
        changed, categories = self._catalogue.take_changed()
        stores = {store for store, _ in moved.slots}
        similar = self._similar
        similar |= moved.companions
        if moved.aged:
            categories |= self._catalogue.categories.keys()
            stores |= self._demand.trends.stores.keys()
        else:
            items = [self._catalogue.get(item_id) for _, item_id in moved.slots]
            categories |= {item.category for item in items if item}
        if changed:
            self._items |= dict.fromkeys(changed)
            names = set(changed)
            for store, weights in self._demand.trends.stores.items():
                if not weights.keys().isdisjoint(names):
                    stores.add(store)
            for item_id in changed:
                row = self._demand.bought.get(item_id)
                similar |= self._shown_on.get(item_id, set())
                if row is not None:
                    similar |= {item_id, *row.now, *row.before}
        self._trending_waits |= moved.aged or bool(moved.slots) or bool(changed)
        self._flushes += 1
        if self._flushes % SIMILAR_EVERY == 1:
            self._wait_for("similar", similar)
            similar.clear()
        self._wait_for("store", stores - {""})
        self._wait_for("category", categories - {""})
        if self._trending_waits:
            self._waiting[_NOW] = None
        self._refresh()

    def _wait_for(self, kind: str, names: Iterable[str]) -> None:
        for name in names:
            self._waiting[Shelf(kind, name)] = None  # type: ignore[arg-type]

    def _refresh(self) -> None:
        due = time.monotonic() - REFRESH_S
        for shelf, (_, at_s) in islice(self._written.items(), WRITE_BATCH):
            if at_s > due:
                break
            self._waiting[shelf] = None

    async def _write_items(self, ids: Sequence[str]) -> None:
        known = {item_id: self._catalogue.get(item_id) for item_id in ids}
        for item_id in ids:
            del self._items[item_id]  # one that changes while this is written comes back
        try:
            await self._sink.write_items([item for item in known.values() if item])
            await self._sink.delete_items([i for i, item in known.items() if not item])
        except StoreUnavailableError:
            self._items |= dict.fromkeys(ids)
            raise

    async def _write_trending(self) -> None:
        best = self._demand.trends.top(TOP_N, self._catalogue.may_show)
        items = tuple(ListItem(i, float(w), self._popular(i)) for i, w in best)
        self._trending_waits = False
        if not items or items == self._trending:
            return
        try:
            await self._sink.write_trending(_list("trending", items))
        except StoreUnavailableError:
            self._trending_waits = True
            raise
        self._trending = items
        LISTS_WRITTEN.labels("trending").inc()

    async def _write_shelves(self, shelves: Sequence[Shelf]) -> None:
        lists: dict[Shelf, RecommendationList | None] = {}
        digests: dict[Shelf, int] = {}
        due = time.monotonic() - REFRESH_S
        for shelf in shelves:
            del self._waiting[shelf]  # one that moves while this is written comes back
            if not self._may_have_list(shelf):
                GIVEN_UP.labels("categories").inc()
                continue
            items = self._items_on(shelf)
            digest = xxh3_64_intdigest(encode_list(RecommendationList(0, "", 0, items)))
            was, at_s = self._written.get(shelf, (None, 0.0))
            if digest != was or at_s <= due:
                model = "similar" if shelf.kind == "similar" else "trending"
                lists[shelf] = _list(model, items) if items else None
                digests[shelf] = digest
        try:
            await self._sink.write_shelves(lists)
        except StoreUnavailableError:
            self._waiting |= dict.fromkeys(lists)
            raise
        for shelf, ready in lists.items():
            self._keep(shelf, digests[shelf], ready)

    def _may_have_list(self, shelf: Shelf) -> bool:
        if shelf.kind != "category" or shelf in self._written:
            return True
        return shelf.has_key and len(self._catalogue.categories) <= MAX_CATEGORIES

    def _items_on(self, shelf: Shelf) -> tuple[ListItem, ...]:
        trends, may_show = self._demand.trends, self._catalogue.may_show
        if shelf.kind == "similar":
            item = self._catalogue.get(shelf.of)
            reason = self._say("together", item.title) if item else self._say("together_often")
            best = self._demand.bought.top(shelf.of, TOP_N, may_show)
            return tuple(ListItem(i, float(n), reason) for i, n in best)
        if shelf.kind == "now":
            best = trends.top_now(TOP_N, may_show)
            return tuple(ListItem(i, float(w), self._say("popular")) for i, w in best)
        if shelf.kind == "store":
            best = trends.top(TOP_N, may_show, shelf.of)
            return tuple(ListItem(i, float(w), self._popular(i, shelf.of)) for i, w in best)
        members = self._catalogue.categories.get(shelf.of, set())
        best = trends.top(TOP_N, may_show, among=members)
        return tuple(ListItem(i, float(w), self._popular_in(i, shelf.of)) for i, w in best)

    def _popular(self, item_id: str, store: str = EVERYBODY) -> str:
        is_of_now = self._demand.trends.is_of_now(item_id, store)
        return self._say("popular" if is_of_now else "popular_week")

    def _popular_in(self, item_id: str, category: str) -> str:
        is_of_now = self._demand.trends.is_of_now(item_id)
        name = "popular_today_in" if is_of_now else "popular_week_in"
        return self._say(name, category)

    def _keep(self, shelf: Shelf, digest: int, ready: RecommendationList | None) -> None:
        self._written.pop(shelf, None)
        if ready is not None:
            self._written[shelf] = digest, time.monotonic()
            LISTS_WRITTEN.labels(shelf.kind).inc()
        if shelf.kind == "similar":
            self._note_shown(shelf.of, {item.id for item in ready.items} if ready else set())

    def _note_shown(self, of: str, now: set[str]) -> None:
        was = self._shown.pop(of, set())
        for item_id in was - now:
            self._shown_on[item_id].discard(of)
            if not self._shown_on[item_id]:
                del self._shown_on[item_id]
        for item_id in now - was:
            self._shown_on.setdefault(item_id, set()).add(of)
        if now:
            self._shown[of] = now


def _list(model: str, items: tuple[ListItem, ...]) -> RecommendationList:
    now_ms = int(time.time() * 1000)
    return RecommendationList(now_ms, model, now_ms, items)
