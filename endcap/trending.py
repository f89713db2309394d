"""What sells now: weighted counts by hour and item, over the last week of event time.

An hour is old by the newest event, not by the clock on the wall: replayed events trend as well.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

HOUR_MS = 3_600_000
SPAN_H = 168
RECENT_H = 24
WEIGHTS: Mapping[str, int] = {"view": 1, "cart": 2, "purchase": 4}
"""By the `kind` of an item delta. Quantities do not count: 24 tins are one shopper's choice."""


class Bucket(NamedTuple):
    """An item's weight in one hour, and the last offset counted of each source partition.

    The offsets make a count safe to repeat: whatever is read again after a crash is at or below
    them, and changes nothing.
    """

    weight: int
    counted: Mapping[str, int]

    def plus(self, weight: int, partition: int, offset: int) -> "Bucket":
        """The bucket with one more act in it; the same bucket where that was counted before."""
        if offset <= self.counted.get(str(partition), -1):
            return self
        return Bucket(self.weight + weight, {**self.counted, str(partition): offset})


EMPTY = Bucket(0, {})
BucketKey = tuple[int, str]
"""Hours since 1970, item id."""


class TrendingWindow:
    """Buckets of the last `span_h` hours with running totals: an act costs the same however
    much is held. It is changed in place by the one loop that owns it.

    A quiet shop keeps older hours as long as it takes to name `at_least` items: a first click after
    a week's holiday must not empty the list for everybody.
    """

    def __init__(self, span_h: int = SPAN_H, at_least: int = 20) -> None:
        self._span_h = span_h
        self._at_least = at_least
        self._hours: dict[int, dict[str, Bucket]] = {}
        self._totals: Counter[str] = Counter()
        self._newest = -1

    @property
    def newest_hour(self) -> int:
        """The newest hour in which anything happened; -1 before anything did."""
        return self._newest

    def get(self, key: BucketKey) -> Bucket:
        """The bucket at this hour and item; an empty one where nothing happened."""
        hour, item_id = key
        return self._hours.get(hour, {}).get(item_id, EMPTY)

    def put(self, key: BucketKey, bucket: Bucket) -> bool:
        """Set a bucket; False where its hour has fallen out of the span already."""
        hour, item_id = key
        if hour <= self._newest - self._span_h and hour < min(self._hours):
            return False
        self._newest = max(self._newest, hour)
        self._totals[item_id] += bucket.weight - self.get(key).weight
        self._hours.setdefault(hour, {})[item_id] = bucket
        return True

    def expire(self) -> list[BucketKey]:
        """Forget the hours that fell out of the span; returns the keys of their buckets."""
        gone: list[BucketKey] = []
        for hour in sorted(h for h in self._hours if h <= self._newest - self._span_h):
            left = self._totals.copy()
            left.subtract({i: bucket.weight for i, bucket in self._hours[hour].items()})
            left = +left
            if len(left) < self._at_least:
                break
            self._totals = left
            gone += [(hour, item_id) for item_id in self._hours.pop(hour)]
        return gone

    def top(self, n: int, may_show: Callable[[str], bool]) -> list[tuple[str, int]]:
        """The `n` best items with their weights, best first; of equals the lower id first."""
        scored: Iterable[tuple[str, int]] = (
            (item_id, weight) for item_id, weight in self._totals.items() if may_show(item_id)
        )
        return heapq.nsmallest(n, scored, key=lambda row: (-row[1], row[0]))

    def reason(self, item_id: str) -> str:
        """Why the item is shown: "right now" only where the last day holds half its weight."""
        hours = range(self._newest - RECENT_H + 1, self._newest + 1)
        recent = sum(self.get((hour, item_id)).weight for hour in hours)
        now = 2 * recent >= self._totals[item_id]
        return "popular right now" if now else "popular this week"
