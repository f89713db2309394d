"""The shop's catalogue in memory: the newest report of each item, by version."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from endcap.catalogue import CatalogueItem, Held, Publication, Taken, remove, take
from endcap.streams.demand import Rows
from endcap.streams.item_metrics import HELD, ITEM_RECORDS

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Held).decode


class ShopCatalogue:
    """Changed in place by the one loop that owns it. `rows` of its table: item id, `Held`."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._sold = 0
        self.categories: dict[str, set[str]] = {}
        """Item ids by category; "" is none."""
        self._changed: dict[str, None] = {}
        self._left: set[str] = set()
        self._unkept: set[str] = set()

    def restore(self, rows: Mapping[bytes, bytes]) -> None:
        """Start from what the table holds. All of it counts as changed."""
        for item_id in list(self._held):
            self._set(item_id, None)
        for key, value in rows.items():
            self._set(key.decode(), _decode(value))
        self._unkept.clear()

    def take(self, said: CatalogueItem, at: Publication) -> Taken:
        """Take in a report of an item."""
        taken = take(self._held.get(said.item_id), said, at)
        ITEM_RECORDS.labels(taken.outcome).inc()
        if taken.outcome == "item":
            self._set(said.item_id, taken.held)
        return taken

    def remove(self, item_id: str, at: Publication) -> None:
        """Take in that the shop no longer sells an item."""
        ITEM_RECORDS.labels("removed").inc()
        held = self._held.get(item_id)
        left = remove(held, at)
        if left is not held:
            self._set(item_id, left)

    def take_unkept(self) -> Rows:
        """Rows of items that changed since the last call; encoded as they are asked for."""
        items, self._unkept = self._unkept, set()
        return self._rows(items)

    def get(self, item_id: str) -> CatalogueItem | None:
        """The item as it is sold now."""
        held = self._held.get(item_id)
        return held.item if held else None

    def may_show(self, item_id: str) -> bool:
        """In the catalogue and in stock; any item where the shop publishes no catalogue."""
        known = self.get(item_id)
        return not known.is_sold_out if known else not self._sold

    def take_changed(self) -> tuple[list[str], set[str]]:
        """Items that changed since the last call, and the categories they were in or are."""
        changed, left = self._changed, self._left
        self._changed, self._left = {}, set()
        return list(changed), left | {item.category for item in self._items(changed)}

    def report(self) -> None:
        """Set the gauges."""
        HELD.labels("items").set(self._sold)
        HELD.labels("deleted_items").set(len(self._held) - self._sold)

    def _rows(self, items: Iterable[str]) -> Rows:
        for item_id in items:
            held = self._held.get(item_id)
            yield item_id.encode(), None if held is None else _encode(held)

    def _items(self, ids: Mapping[str, None]) -> Iterator[CatalogueItem]:
        for item_id in ids:
            item = self.get(item_id)
            if item is not None:
                yield item

    def _set(self, item_id: str, held: Held | None) -> None:
        was = self.get(item_id)
        if was is not None:
            self._sold -= 1
            self._left.add(was.category)
            members = self.categories[was.category]
            members.discard(item_id)
            if not members:
                del self.categories[was.category]
        if held is None:
            self._held.pop(item_id, None)
        else:
            self._held[item_id] = held
        if held is not None and held.item is not None:
            self._sold += 1
            self.categories.setdefault(held.item.category, set()).add(item_id)
        self._changed[item_id] = None
        self._unkept.add(item_id)
