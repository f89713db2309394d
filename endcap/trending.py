"""What sells now: weighted counts by hour, store and item, in windows of event time.

An hour is old by the events, not by the clock on the wall: replayed events trend as well. One event
of another time than the others moves no window out from under them.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

HOUR_MS = 3_600_000
WEIGHTS: Mapping[str, int] = {"view": 1, "cart": 2, "purchase": 4}
"""By the `kind` of an item delta. Quantities do not count: 24 tins are one shopper's choice."""
EVERYBODY = ""
"""In place of a store's id: all of them, and acts without one."""


class Window(NamedTuple):
    """`size_h` hours of event time; a new window begins every `hop_h`.

    They hop where `hop_h` is smaller, and tumble where the two are equal.

    >>> Window(24, 6).first_hour(100)
    78
    >>> Window(24, 24).first_hour(100)
    96
    """

    size_h: int
    hop_h: int = 1

    def first_hour(self, newest: int) -> int:
        """Where the window begins that ends with the hop in which `newest` lies."""
        return (newest // self.hop_h + 1) * self.hop_h - self.size_h


WEEK = Window(168)
DAY = Window(24)


class Evidence(NamedTuple):
    """What it takes to move the window: the newest acts that weigh so much together.

    The larger of the two counts. 400 are a hundred bought items; a hundredth of an even week is an
    hour and 40 minutes, and so far the window of a busy shop lies behind its newest event.
    """

    weight: int = 400
    share: float = 0.01
    """Of all weight that is held."""


class Span(NamedTuple):
    """The first hours of the window and of "now"."""

    first: int
    now_first: int


class Bucket(NamedTuple):
    """An item's weight in one hour, and the last offset counted of each source partition.

    The offsets make a count safe to repeat: whatever is read again after a crash is at or below
    them, and changes nothing.
    """

    weight: int
    counted: Mapping[int, int]

    def plus(self, weight: int, partition: int, offset: int) -> "Bucket":
        """The bucket with one more act in it; the same bucket where that was counted before."""
        if offset <= self.counted.get(partition, -1):
            return self
        return Bucket(self.weight + weight, {**self.counted, partition: offset})


EMPTY = Bucket(0, {})
_NOBODY: Counter[str] = Counter()
_FAR = 1 << 62


class Slot(NamedTuple):
    """Where a bucket stands: hours since 1970, item id, store."""

    hour: int
    item_id: str
    store: str = EVERYBODY


class Trends:
    """The buckets of one window, with running totals for it and for a shorter one, "now": an act
    costs the same however much is held. Changed in place by the one loop that owns it.

    The window ends at the newest hour from which on there is `evidence` enough; what is newer
    counts, too. So neither the first click after a holiday, nor a live one while a history is
    imported, nor a producer whose clock is ahead empties the list for everybody. "Now" has nothing
    to lose: it ends with the newest act.

    Older hours stay as long as it takes to name `at_least` items. A busy shop that would hold more
    than `max_buckets` gives up its oldest hours early; a store beyond `max_stores` has no list.
    """

    def __init__(
        self,
        window: Window = WEEK,
        now: Window = DAY,
        at_least: int = 20,
        max_buckets: int = 500_000,
        max_stores: int = 1000,
        evidence: Evidence = Evidence(),  # noqa: B008
    ) -> None:
        self._evidence = evidence
        self._window = window
        self._now_window = now
        self._at_least = at_least
        self._max_buckets = max_buckets
        self._max_stores = max_stores
        self._hours: dict[int, dict[Slot, Bucket]] = {}
        self._weights: Counter[int] = Counter()
        """Of everybody, by hour."""
        self._totals: dict[str, Counter[str]] = {EVERYBODY: Counter()}
        self._now: dict[str, Counter[str]] = {EVERYBODY: Counter()}
        self._held = 0
        self._held_weight = 0
        self._newest = -1
        self._oldest = _FAR
        self._span = Span(0, 0)
        self.given_up = 0
        """Buckets dropped early, and acts refused, because a bound was reached."""

    @property
    def span(self) -> Span:
        """Where the windows lie since they were last let follow."""
        return self._span

    @property
    def stores(self) -> Mapping[str, Mapping[str, int]]:
        """Every store's weights by item; `EVERYBODY`'s among them."""
        return self._totals

    def __len__(self) -> int:
        return self._held

    def takes(self, hour: int) -> bool:
        """Whether an act of this hour still counts."""
        return hour >= min(self._oldest, self._span.first)

    def get(self, slot: Slot) -> Bucket:
        """The bucket at this slot; an empty one where nothing happened."""
        return self._hours.get(slot.hour, {}).get(slot, EMPTY)

    def put(self, slot: Slot, bucket: Bucket) -> bool:
        """Set a bucket; False where its hour is out of the window, or a bound is reached."""
        hour, item_id, store = slot
        if not self.takes(hour):
            return False
        if store not in self._totals:
            if len(self._totals) > self._max_stores:
                self.given_up += 1
                return False
            self._totals[store], self._now[store] = Counter(), Counter()
        held = self.get(slot)
        if held is EMPTY:
            self._held += 1
        self._newest = max(self._newest, hour)
        self._oldest = min(self._oldest, hour)
        more = bucket.weight - held.weight
        if store == EVERYBODY:
            self._weights[hour] += more
            self._held_weight += more
        self._totals[store][item_id] += more
        if hour >= self._span.now_first:
            self._now[store][item_id] += more
        self._hours.setdefault(hour, {})[slot] = bucket
        return True

    def expire(self) -> list[Slot]:
        """Let the windows follow the acts; returns the slots that are no longer held."""
        self._follow()
        gone: list[Slot] = []
        for hour in sorted(h for h in self._hours if h < self._span.first):
            if self._items_without(hour) < self._at_least:
                break
            gone += self._drop(hour)
        while self._held > self._max_buckets and len(self._hours) > 1:
            early = self._drop(min(self._hours))
            self.given_up += len(early)
            gone += early
        return gone

    def top(
        self,
        n: int,
        may_show: Callable[[str], bool],
        store: str = EVERYBODY,
        among: Iterable[str] | None = None,
    ) -> list[tuple[str, int]]:
        """The `n` best items with their weights, best first; of equals the lower id first.

        `among`: of these items alone, a category's, say.
        """
        totals: Mapping[str, int] = self._totals.get(store, _NOBODY)
        chosen = totals.items() if among is None else _of(totals, among)
        return _best(n, chosen, may_show)

    def top_now(self, n: int, may_show: Callable[[str], bool]) -> list[tuple[str, int]]:
        """The same, of everybody, in the shorter window."""
        return _best(n, self._now[EVERYBODY].items(), may_show)

    def is_of_now(self, item_id: str, store: str = EVERYBODY) -> bool:
        """Whether "now" holds half of the item's weight."""
        recent = self._now.get(store, _NOBODY)[item_id]
        return 2 * recent >= self._totals[store][item_id]

    def _follow(self) -> None:
        """Where the windows lie is a function of what is held: after a crash it is the same."""
        was = self._span.now_first
        now_first = max(was, self._now_window.first_hour(self._newest))
        for hour in [h for h in self._hours if was <= h < now_first]:
            for slot, bucket in self._hours[hour].items():
                _take(self._now[slot.store], slot.item_id, bucket.weight)
        self._span = Span(self._window.first_hour(self._end()), now_first)

    def _end(self) -> int:
        """The newest hour from which on there is evidence enough; else the oldest."""
        needed = max(self._evidence.weight, self._evidence.share * self._held_weight)
        hour = self._newest
        for hour in sorted(self._hours, reverse=True):
            needed -= self._weights[hour]
            if needed <= 0:
                break
        return hour

    def _items_without(self, hour: int) -> int:
        totals = self._totals[EVERYBODY]
        leaving = sum(
            slot.store == EVERYBODY and bucket.weight >= totals[slot.item_id]
            for slot, bucket in self._hours[hour].items()
        )
        return len(totals) - leaving

    def _drop(self, hour: int) -> list[Slot]:
        buckets = self._hours.pop(hour)
        self._oldest = min(self._hours, default=_FAR)
        self._held -= len(buckets)
        self._held_weight -= self._weights.pop(hour, 0)
        for slot, bucket in buckets.items():
            _take(self._totals[slot.store], slot.item_id, bucket.weight)
            if hour >= self._span.now_first:
                _take(self._now[slot.store], slot.item_id, bucket.weight)
        for store in {slot.store for slot in buckets} - {EVERYBODY}:
            if not self._totals[store]:
                del self._totals[store], self._now[store]
        return list(buckets)


def _take(totals: Counter[str], item_id: str, weight: int) -> None:
    left = totals[item_id] - weight
    if left > 0:
        totals[item_id] = left
    else:
        del totals[item_id]


def _of(totals: Mapping[str, int], among: Iterable[str]) -> Iterable[tuple[str, int]]:
    return ((item_id, totals[item_id]) for item_id in among if item_id in totals)


def _best(
    n: int, weights: Iterable[tuple[str, int]], may_show: Callable[[str], bool]
) -> list[tuple[str, int]]:
    shown = (row for row in weights if may_show(row[0]))
    return heapq.nsmallest(n, shown, key=lambda row: (-row[1], row[0]))
