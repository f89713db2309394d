"""Sums and counts of the pairs of items that stand near one another in a session."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import DoubleArray, LongArray

_AT_ONCE = 4_000_000
"""Pairs that are held before equal ones are summed: about 200 MB."""
_COUNTED_AT_ONCE = 30_000_000
"""Pairs that are held before equal ones are counted: 240 MB."""


class PairSums(NamedTuple):
    """Distinct pairs [n], in order of `item`, then `other`; `sums` of their weights. Of an ordered
    pair `item` came first."""

    item: LongArray
    other: LongArray
    sums: DoubleArray


def pair_sums(
    items: npt.NDArray[np.integer],
    sessions: npt.NDArray[np.integer],
    by_distance: Sequence[float],
    n_items: int,
    weights: DoubleArray | None = None,
) -> PairSums:
    """Sum over the pairs of events [N] of one session that stand `d` apart `by_distance[d - 1]`.

    A session's events stand together, oldest first. Pairs farther apart than `by_distance` is long
    do not count, nor does item 0; an item that comes again is a pair with itself. `weights` [N]
    multiply a pair by its later event's.
    """
    item, session = items.astype(np.int64), np.asarray(sessions)
    by_distance = by_distance[: max(_longest(session) - 1, 0)]
    held: list[tuple[LongArray, DoubleArray]] = []
    waiting, limit = 0, _AT_ONCE
    for distance, weight in enumerate(by_distance, start=1):
        first, second = item[:-distance], item[distance:]
        pairs = session[:-distance] == session[distance:]
        at = np.flatnonzero(pairs & (first != 0) & (second != 0))
        of_each = np.full(at.size, weight) if weights is None else weight * weights[at + distance]
        held.append((first[at] * (n_items + 1) + second[at], of_each))
        waiting += at.size
        if waiting > limit:
            held = [_summed(held)]
            waiting = held[0][0].size
            # Twice what is left, or sums that no longer shrink would be summed at every distance.
            limit = max(_AT_ONCE, 2 * waiting)
    keys, sums = _summed(held)
    return PairSums(keys // (n_items + 1), keys % (n_items + 1), sums)


def pair_counts(
    items: npt.NDArray[np.integer],
    sessions: npt.NDArray[np.integer],
    window: int,
    n_items: int,
) -> PairSums:
    """Count the pairs of different items at most `window` places apart in a session, whoever came
    first: `item` < `other`.

    Events [N] as in `pair_sums`.
    """
    item, session = items.astype(np.int64), np.asarray(sessions)
    keys = np.empty(0, dtype=np.int64)
    counts = np.empty(0, dtype=np.int64)
    held: list[LongArray] = []
    waiting = 0
    for distance in range(1, min(window, max(_longest(session) - 1, 0)) + 1):
        first, second = item[:-distance], item[distance:]
        pairs = (session[:-distance] == session[distance:]) & (first != second)
        at = np.flatnonzero(pairs & (first != 0) & (second != 0))
        low, high = np.minimum(first[at], second[at]), np.maximum(first[at], second[at])
        held.append(low * (n_items + 1) + high)
        waiting += at.size
        if waiting > _COUNTED_AT_ONCE:
            keys, counts = _with_counts(keys, counts, held)
            held, waiting = [], 0
    keys, counts = _with_counts(keys, counts, held)
    return PairSums(keys // (n_items + 1), keys % (n_items + 1), counts.astype(np.float64))


def both_ways(pairs: PairSums) -> PairSums:
    """Each counted pair and its mirror; the neighbours of an item stand by their index."""
    return PairSums(
        np.concatenate([pairs.other, pairs.item]),
        np.concatenate([pairs.item, pairs.other]),
        np.concatenate([pairs.sums, pairs.sums]),
    )


def _with_counts(
    keys: LongArray, counts: LongArray, held: list[LongArray]
) -> tuple[LongArray, LongArray]:
    if not held:
        return keys, counts
    # A plain sort of numbers: several times as fast as the argsort that weights need.
    new = np.sort(np.concatenate(held))
    starts = np.flatnonzero(np.concatenate([[new.size > 0], new[1:] != new[:-1]]))
    distinct, times = new[starts], np.diff(np.append(starts, new.size))
    if not keys.size:
        return distinct, times
    keys, sums = _summed([(keys, counts.astype(np.float64)), (distinct, times.astype(np.float64))])
    return keys, sums.astype(np.int64)


def _longest(session: npt.NDArray[np.integer]) -> int:
    changes = np.flatnonzero(np.concatenate([[True], session[1:] != session[:-1], [True]]))
    return int(np.diff(changes).max(initial=0))


def _summed(held: list[tuple[LongArray, DoubleArray]]) -> tuple[LongArray, DoubleArray]:
    if not held:
        return np.empty(0, dtype=np.int64), np.empty(0)
    keys = np.concatenate([keys for keys, _ in held])
    values = np.concatenate([values for _, values in held])
    order = np.argsort(keys)
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[keys.size > 0], ordered[1:] != ordered[:-1]]))
    if not starts.size:
        return ordered, values
    return ordered[starts], np.add.reduceat(values[order], starts)
