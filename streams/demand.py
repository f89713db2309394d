"""Demand in memory: trending buckets, co-purchases, and which of their records are not kept yet.

A record holds an absolute count with the offsets that are in it. It is kept at a checkpoint,
however often it changed before; deltas that no checkpoint holds are read again after a crash.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from endcap.co_purchases import PERIOD_MS, Companions, CoPurchases
from endcap.streams.item_deltas import ItemDelta
from endcap.streams.item_metrics import GIVEN_UP, HELD, ITEM_RECORDS
from endcap.trending import DAY, EVERYBODY, HOUR_MS, WEEK, WEIGHTS, Bucket, Slot, Trends, Window


class DemandSettings(NamedTuple):
    """The windows of event time, and how much is held at most."""

    window: Window = WEEK
    now: Window = DAY
    period_ms: int = PERIOD_MS
    max_buckets: int = 500_000
    max_stores: int = 1000
    max_items: int = 100_000
    """With co-purchases."""


Rows = Iterator[tuple[bytes, bytes | None]]
"""Keys and values of a table; None removes."""
_encode = msgspec.msgpack.Encoder().encode
_decode_slot = msgspec.msgpack.Decoder(Slot).decode
_decode_bucket = msgspec.msgpack.Decoder(Bucket).decode
_decode_companions = msgspec.msgpack.Decoder(Companions).decode


class Moved(NamedTuple):
    """What may look different since it was last asked for; `aged`: everything that trends."""

    slots: set[tuple[str, str]]
    """Store and item."""
    companions: set[str]
    aged: bool


class Demand:
    """Counts each delta once. Changed in place by the one loop that owns it."""

    def __init__(self, settings: DemandSettings = DemandSettings()) -> None:  # noqa: B008
        self._settings = settings
        self.trends, self.bought = _new(settings)
        self._unkept_slots: set[Slot] = set()
        self._unkept_items: set[str] = set()
        self._moved = Moved(set(), set(), aged=True)

    def restore(self, buckets: Mapping[bytes, bytes], companions: Mapping[bytes, bytes]) -> None:
        """Start from what the tables hold; what was counted since is read again."""
        self.trends, self.bought = _new(self._settings)
        self._unkept_slots.clear()
        self._unkept_items.clear()
        self._moved = Moved(set(), set(), aged=True)
        for key, value in buckets.items():
            self.trends.put(_decode_slot(key), _decode_bucket(value))
        for key, value in companions.items():
            self.bought.put(key.decode(), _decode_companions(value))
        self._moved.companions.update(key.decode() for key in companions)
        self._expire()

    def count(self, deltas: Iterable[ItemDelta]) -> None:
        """Count each delta once."""
        span = self.trends.span
        for delta in deltas:
            counted = self._trend(delta)
            if delta.kind == "purchase":
                changed = self.bought.count(
                    delta.item_ids, delta.timestamp_ms, delta.source_partition, delta.source_offset
                )
                self._unkept_items.update(changed)
                self._moved.companions.update(changed)
                counted = counted or bool(changed)
            ITEM_RECORDS.labels("counted" if counted else "already_counted").inc()
        self._expire()
        if self.trends.span != span:
            self._moved = self._moved._replace(aged=True)

    def take_unkept(self) -> tuple[Rows, Rows]:
        """Records of buckets and of companions that changed since the last call.

        Values are encoded as they are asked for: as new as they can be.
        """
        slots, self._unkept_slots = self._unkept_slots, set()
        items, self._unkept_items = self._unkept_items, set()
        return self._buckets(slots), self._companions(items)

    def take_moved(self) -> Moved:
        """What may look different since the last call."""
        moved, self._moved = self._moved, Moved(set(), set(), aged=False)
        return moved

    def report(self) -> None:
        """Set the gauges, and count what the bounds cost."""
        trends, bought = self.trends, self.bought
        HELD.labels("buckets").set(len(trends))
        HELD.labels("stores").set(len(trends.stores) - 1)
        HELD.labels("co_purchase_items").set(len(bought))
        GIVEN_UP.labels("buckets").inc(trends.given_up)
        GIVEN_UP.labels("companions").inc(bought.pruned)
        GIVEN_UP.labels("co_purchase_items").inc(bought.refused)
        trends.given_up = bought.pruned = bought.refused = 0

    def _trend(self, delta: ItemDelta) -> bool:
        hour, weight = delta.timestamp_ms // HOUR_MS, WEIGHTS[delta.kind]
        if not self.trends.takes(hour):
            return False
        partition, offset = delta.source_partition, delta.source_offset
        stores = (EVERYBODY, delta.store_id) if delta.store_id else (EVERYBODY,)
        counted = False
        # Each item once: a basket may name the same item on two lines.
        for item_id in dict.fromkeys(delta.item_ids):
            for store in stores:
                slot = Slot(hour, item_id, store)
                held = self.trends.get(slot)
                after = held.plus(weight, partition, offset)
                if after is not held and self.trends.put(slot, after):
                    self._unkept_slots.add(slot)
                    self._moved.slots.add((store, item_id))
                    counted = True
        return counted

    def _expire(self) -> None:
        gone = self.trends.expire()
        self._unkept_slots.update(gone)
        self._moved.slots.update((slot.store, slot.item_id) for slot in gone)
        aged = self.bought.age()
        self._unkept_items.update(aged)
        self._moved.companions.update(aged)

    def _buckets(self, slots: Iterable[Slot]) -> Rows:
        for slot in slots:
            bucket = self.trends.get(slot)
            yield _encode(slot), _encode(bucket) if bucket.weight else None

    def _companions(self, items: Iterable[str]) -> Rows:
        for item_id in items:
            row = self.bought.get(item_id)
            yield item_id.encode(), None if row is None else _encode(row)


def _new(settings: DemandSettings) -> tuple[Trends, CoPurchases]:
    trends = Trends(
        settings.window,
        settings.now,
        max_buckets=settings.max_buckets,
        max_stores=settings.max_stores,
    )
    return trends, CoPurchases(settings.period_ms, max_items=settings.max_items)
