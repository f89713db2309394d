"""Sums over the ordered pairs of items that stand near one another in a session."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

LongArray = npt.NDArray[np.int64]
DoubleArray = npt.NDArray[np.float64]
_AT_ONCE = 4_000_000
"""Pairs that are held before equal ones are summed: about 200 MB."""


class PairSums(NamedTuple):
    """Distinct pairs [n]: `item` came first, `other` after it; `sums` of their weights."""

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
    waiting = 0
    for distance, weight in enumerate(by_distance, start=1):
        first, second = item[:-distance], item[distance:]
        pairs = session[:-distance] == session[distance:]
        at = np.flatnonzero(pairs & (first != 0) & (second != 0))
        of_each = np.full(at.size, weight) if weights is None else weight * weights[at + distance]
        held.append((first[at] * (n_items + 1) + second[at], of_each))
        waiting += at.size
        if waiting > _AT_ONCE:
            held = [_summed(held)]
            waiting = held[0][0].size
    keys, sums = _summed(held)
    return PairSums(keys // (n_items + 1), keys % (n_items + 1), sums)


def both_ways(pairs: PairSums, n_items: int) -> PairSums:
    """Each pair and its mirror, summed: who came first no longer counts."""
    keys = np.concatenate(
        [pairs.item * (n_items + 1) + pairs.other, pairs.other * (n_items + 1) + pairs.item]
    )
    keys, sums = _summed([(keys, np.concatenate([pairs.sums, pairs.sums]))])
    return PairSums(keys // (n_items + 1), keys % (n_items + 1), sums)


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
