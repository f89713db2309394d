"""Slates from scores: the best items of each question, filled up with what is popular."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from endcap.arrays import DoubleArray, IntArray
from endcap.candidates.scored import Scored
from endcap.export.data.interactions import Cases, Interactions, LongArray
from endcap.export.data.slates import SLATE


class Question(NamedTuple):
    """One history, oldest first: `items`, `times_ms`, `sessions` [n]; asked at `now_ms`."""

    items: IntArray
    times_ms: LongArray
    sessions: IntArray
    now_ms: int


class ScoredSlates(NamedTuple):
    """A ranker that scores each question by itself. `popular` [P], best first, fills the gaps;
    with `exclude_seen` no item of a history is shown."""

    score: Callable[[Question], Scored]
    popular: IntArray
    exclude_seen: bool

    def slates(self, cases: Cases) -> IntArray:
        """The best items of each case [n, SLATE], best first, of equals the lower index; 0 where
        even what is popular does not suffice."""
        slates = np.zeros((cases.size, SLATE), dtype=np.int32)
        events = cases.interactions
        places = zip(
            cases.starts().tolist(), cases.ends.tolist(), cases.now_ms.tolist(), strict=True
        )
        for slate, (start, end, now_ms) in zip(slates, places, strict=True):
            items = events.items[start:end]
            question = Question(
                items, events.times_ms[start:end], events.sessions[start:end], now_ms
            )
            ids = self._best(self.score(question), items)
            slate[: ids.size] = ids
        return slates

    def _best(self, scored: Scored, seen: IntArray) -> IntArray:
        ids, scores = scored
        if self.exclude_seen:
            fresh = ~np.isin(ids, seen)
            ids, scores = ids[fresh], scores[fresh]
        # A stable sort over ascending ids, so that equals stand by their index.
        best = ids[np.argsort(-scores, kind="stable")[:SLATE]]
        if best.size == SLATE:
            return best
        taken = np.concatenate([best, seen]) if self.exclude_seen else best
        more = self.popular[: SLATE + taken.size]
        more = more[~np.isin(more, taken)]
        return np.concatenate([best, more])[:SLATE]


def counts_of(events: Interactions, n_items: int, newest: float = 1.0) -> DoubleArray:
    """Events with each item [V+1] among the `newest` share of all; 0 at 0."""
    items = events.items
    if newest < 1.0 and items.size:
        since = np.quantile(events.times_ms, 1.0 - newest)
        items = items[events.times_ms >= since]
    counts = np.bincount(items, minlength=n_items + 1).astype(np.float64)
    counts[0] = 0.0
    return counts


def most_popular(counts: DoubleArray) -> IntArray:
    """Items that were seen at all, best first, of equals the lower index."""
    order = np.argsort(-counts, kind="stable")
    return order[counts[order] > 0].astype(np.int32)
