"""A placement's list: filled from its sources in their order, by its filters and exclusions."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from endcap.catalogue import CatalogueItem
from endcap.errors import ConnectionFailedError
from endcap.lists import RecommendationList, Shelf, encode_list
from endcap.serving.fallback import Where
from endcap.serving.kept_list import KeptList
from endcap.serving.list_reader import ListReader
from endcap.serving.placements import Placement, Source, chosen
from endcap.serving.shown_list import ReadyList, ShownItem, read_ready
from endcap.sessions import Session


class PlacedList(msgspec.Struct, gc=False):
    """The answer for a placement. `source` gave the first item, `filled_from` others; `version`,
    `model`, `generated_at` and `variant` are of the first one's list."""

    placement: str
    source: str
    filled_from: list[str]
    version: int
    model: str
    generated_at: int
    items: list[ShownItem]
    variant: str | UnsetType = UNSET


class Visit(NamedTuple):
    """What a page knows when it asks: the shopper, the item it shows, what is in the cart beside
    what the stream knows, and where the shopper is."""

    user: str
    item: str = ""
    cart: tuple[str, ...] = ()
    where: Where = Where()


class PlacedLists:
    """Makes them from what the store has, by the rules of each placement."""

    def __init__(self, lists: ListReader, kept: KeptList) -> None:
        self._lists = lists
        self._kept = kept
        self._at: dict[str, ListReader] = {}
        """By placement: what a reader has found out about items is kept with it."""

    async def of(
        self, name: str, placement: Placement, visit: Visit, session: Session | None
    ) -> PlacedList | None:
        """The list; None where no source has a list. `name`: of a placement of the shop.

        Where the store does not answer, what was kept is filtered in the same way; of rules those
        of the default placement hold for it.
        """
        lists = self._at.get(name)
        if lists is None:
            lists = self._at[name] = self._lists.at(name)
        filling = _Filling(name, placement, _excluded(placement, visit, session))
        try:
            for source in placement.sources:
                ready = await _from(lists, source, visit, session)
                if ready is not None:
                    known = await lists.items([item.id for item in ready.items])
                    filling.take(source, ready, known)
                if filling.is_full:
                    return filling.made()
        except ConnectionFailedError:
            if self._kept.now is None:
                raise
        if not filling.rows and self._kept.now is not None:
            filling.take("kept", _as_ready(self._kept.now.ready), self._kept.now.items)
        return filling.made()


class _Filling:
    """A placement's list while it is filled."""

    def __init__(self, name: str, placement: Placement, without: set[str]) -> None:
        self.rows: list[ShownItem] = []
        self._name = name
        self._placement = placement
        self._without = without
        self._sources: list[str] = []
        self._first: ReadyList | None = None

    @property
    def is_full(self) -> bool:
        return len(self.rows) >= self._placement.items

    def take(self, source: str, ready: ReadyList, known: Mapping[str, CatalogueItem]) -> None:
        self._first = self._first or ready
        before = len(self.rows)
        for row in chosen(ready.items, known, self._placement, self._without):
            if (item := known.get(row.id)) is not None:
                row.title, row.category, row.price = item.title, item.category, item.price
            self.rows.append(row)
            if self.is_full:
                break
        if len(self.rows) > before:
            self._first = ready if before == 0 else self._first
            self._sources.append(source)

    def made(self) -> PlacedList | None:
        first = self._first
        if first is None:
            return None
        source, *others = self._sources or ["none"]
        return PlacedList(
            self._name,
            source,
            others,
            first.version,
            first.model,
            first.generated_at,
            self.rows,
            first.variant,
        )


async def _from(
    lists: ListReader, source: Source, visit: Visit, session: Session | None
) -> ReadyList | None:
    match source:
        case "own":
            raw = await lists.raw_list(visit.user)
            return read_ready(raw) if raw else None
        case "trending":
            ready = await lists.trending()
            return _as_ready(ready) if ready else None
        case "now":
            return await _shelf(lists, Shelf("now"))
        case "similar":
            last = _last_item(visit, session)
            return await _shelf(lists, Shelf("similar", last)) if last else None
        case "category" | "store":
            of = visit.where.category if source == "category" else visit.where.store
            return await _shelf(lists, Shelf(source, of)) if of else None


async def _shelf(lists: ListReader, shelf: Shelf) -> ReadyList | None:
    ready = await lists.shelf(shelf) if shelf.has_key else None
    return _as_ready(ready) if ready else None


def _as_ready(ready: RecommendationList) -> ReadyList:
    return read_ready(encode_list(ready))


def _excluded(placement: Placement, visit: Visit, session: Session | None) -> set[str]:
    without: set[str] = set()
    if "item" in placement.exclude and visit.item:
        without.add(visit.item)
    if "cart" in placement.exclude:
        without.update(visit.cart)
        without.update(session.cart if session else ())
    if "purchased" in placement.exclude and session:
        without.update(past.item_id for past in session.purchased)
    return without


def _last_item(visit: Visit, session: Session | None) -> str:
    """The item on the page, else the last one put into the cart, else the last one touched."""
    if visit.item:
        return visit.item
    if visit.cart:
        return visit.cart[-1]
    if session and session.cart:
        return session.cart[-1]
    return session.history[-1].item_id if session and session.history else ""
