"""What is bought together: how many purchases hold both of two items, by event time.

Periods of event time tumble; counts are of the newest period and the one before, so they follow the
season and are whole numbers that do not depend on the order of arrival.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from operator import itemgetter

import msgspec

PERIOD_MS = 28 * 86_400_000
MAX_BASKET = 50
"""Distinct items of one purchase whose pairs count: 500 lines would make 124,750 pairs. In Complete
Journey 1.9% of the baskets are larger; of those this many are drawn."""
KEPT = 100
"""Companions of an item that outlive a pruning; twice as many are held before the next."""


class Companions(msgspec.Struct, array_like=True):
    """One item's counts, and the last offset counted of each source partition, in one record: what
    is read again after a crash changes nothing.

    `now` counts in `period` (since 1970), `before` in the one before it.
    """

    period: int
    now: dict[str, int]
    before: dict[str, int]
    counted: dict[int, int]


class CoPurchases:
    """Every item's companions. Changed in place by the one loop that owns it.

    Exact as long as an item has at most twice `kept` companions in a period. Beyond, the rarest are
    forgotten (of equals the oldest) and start again from nothing: a count is then a lower bound.
    An item beyond `max_items` has no companions until others lose theirs.
    """

    def __init__(
        self, period_ms: int = PERIOD_MS, kept: int = KEPT, max_items: int = 100_000
    ) -> None:
        self._period_ms = period_ms
        self._kept = kept
        self._max_items = max_items
        self._rows: dict[str, Companions] = {}
        self._names: dict[str, str] = {}
        """One string for each id: records name the same ids over and over."""
        self._newest = -1
        self._aged = -1
        self.pruned = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, item_id: str) -> Companions | None:
        """The item's record; None where it was never bought with another."""
        return self._rows.get(item_id)

    def put(self, item_id: str, row: Companions) -> None:
        """A record as it was kept."""
        row.now, row.before = self._counter(row.now), self._counter(row.before)
        self._rows[item_id] = row
        self._newest = max(self._newest, row.period)

    def count(
        self, item_ids: Collection[str], timestamp_ms: int, partition: int, offset: int
    ) -> list[str]:
        """Count one purchase, once; returns the items whose companions changed."""
        period = timestamp_ms // self._period_ms
        self._newest = max(self._newest, period)
        if period < self._newest - 1:
            return []
        basket = [self._names.setdefault(each, each) for each in _basket(item_ids, offset)]
        if len(basket) < 2:
            return []
        return [item for item in basket if self._add(item, basket, period, partition, offset)]

    def age(self) -> list[str]:
        """Let every record follow the newest period; returns all items where it has moved.

        Items without companions are no longer held; they are among those returned.
        """
        if self._aged == self._newest:
            return []
        self._aged = self._newest
        self._names.clear()
        changed = list(self._rows)
        for item_id in changed:
            row = self._rows[item_id]
            _follow(row, self._newest)
            if not row.now and not row.before:
                del self._rows[item_id]
        return changed

    def top(self, item_id: str, n: int, may_show: Callable[[str], bool]) -> list[tuple[str, int]]:
        """The `n` items most often bought with this one, with the number of purchases; of equals
        the lower id first."""
        row = self._rows.get(item_id)
        if row is None:
            return []
        counts = Counter(row.now)
        counts.update(row.before)
        # Two sorts in C, the second stable: a third of the time of one by a key made in Python.
        best = sorted(sorted(counts.items()), key=itemgetter(1), reverse=True)
        return list(islice((pair for pair in best if may_show(pair[0])), n))

    def _counter(self, counts: Mapping[str, int]) -> Counter[str]:
        names = self._names
        return Counter({names.setdefault(each, each): n for each, n in counts.items()})

    def _add(
        self, item_id: str, basket: list[str], period: int, partition: int, offset: int
    ) -> bool:
        row = self._rows.get(item_id)
        if row is None:
            if len(self._rows) >= self._max_items:
                self.refused += 1
                return False
            row = self._rows[item_id] = Companions(self._newest, Counter(), Counter(), {})
        if offset <= row.counted.get(partition, -1):
            return False
        row.counted[partition] = offset
        _follow(row, self._newest)
        counts = row.now if period == self._newest else row.before
        counts.update(basket)  # type: ignore[arg-type]  # a Counter: it counts, in C
        del counts[item_id]
        if len(counts) > 2 * self._kept:
            self.pruned += len(counts) - self._kept
            # Sorted by count alone, and stable: of equals the newest stay.
            best = sorted(counts.items(), key=itemgetter(1))[-self._kept :]
            counts.clear()
            dict.update(counts, best)
        return True


def _basket(item_ids: Collection[str], offset: int) -> list[str]:
    """The distinct items, at most `MAX_BASKET`: drawn by the offset, the same on every reading.

    The first lines would do for shops that do not sort them.
    """
    basket = list(dict.fromkeys(item_ids))
    if len(basket) <= MAX_BASKET:
        return basket
    return random.Random(offset).sample(basket, MAX_BASKET)  # noqa: S311


def _follow(row: Companions, newest: int) -> None:
    behind = newest - row.period
    if behind == 0:
        return
    row.before = row.now if behind == 1 else Counter()
    row.now = Counter()
    row.period = newest
