"""Training sequences as windows, in batches of near-equal length, so that nobody pays for padding.

As in the papers they are cut from the end, the same in each epoch, and hold items alone, in memory.
`export/windows.py` cuts anew in each epoch at places drawn by chance, keeps event types and gaps,
and reads any batch by its number from files larger than memory.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import IntArray
from endcap.events import EventType
from endcap.export.data.interactions import Interactions, LongArray

_PURCHASE = EventType.PURCHASE.code


class Windows(NamedTuple):
    """Stretches [W] of a flat array of items: `starts`, and `lengths` of at least two events."""

    items: IntArray
    starts: LongArray
    lengths: LongArray


def cut_windows(events: Interactions, length: int) -> Windows:
    """Cut each sequence, from its end, into windows of `length` inputs and their targets, so that
    each event but the first is a target once. Events of unknown items are left out."""
    known = events.items != 0
    before = np.concatenate([[0], np.cumsum(known)])
    offsets = before[events.offsets].astype(np.int64)
    counts = np.diff(offsets)
    pieces = np.where(counts > 1, -(-(counts - 1) // length), 0)
    sequence = np.repeat(np.arange(counts.size), pieces)
    piece = np.arange(sequence.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    ends = offsets[1:][sequence] - piece * length
    starts = np.maximum(offsets[:-1][sequence], ends - length - 1)
    return Windows(events.items[known], starts, ends - starts)


def shuffled_purchases(events: Interactions, rng: np.random.Generator) -> Interactions:
    """The lines of each purchase in a new random order: a receipt's order says nothing, and a model
    would learn how the file is sorted."""
    bought = events.types == _PURCHASE
    same = (
        bought[1:]
        & bought[:-1]
        & (events.sessions[1:] == events.sessions[:-1])
        & (events.times_ms[1:] == events.times_ms[:-1])
    )
    if not same.any():
        return events
    group = np.concatenate([[0], np.cumsum(~same)])
    return events._replace(items=events.items[np.lexsort((rng.random(group.size), group))])


def batches(
    lengths: LongArray, tokens: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.intp]]:
    """Rows in batches of at most `tokens` padded places, similar lengths together, the batches in
    random order."""
    order = np.lexsort((rng.random(lengths.size), lengths))
    parts = _parts(lengths[order], tokens)
    for part in rng.permutation(len(parts)):
        start, end = parts[part]
        yield order[start:end]


def padded(items: IntArray, starts: LongArray, lengths: LongArray) -> npt.NDArray[np.int64]:
    """Stretches of a flat array as rows [B, longest], 0 on the right."""
    places = starts[:, None] + np.arange(int(lengths.max(initial=1)))
    inside = np.arange(places.shape[1]) < lengths[:, None]
    return np.where(inside, items[np.where(inside, places, 0)], 0).astype(np.int64)


def _parts(rising: LongArray, tokens: int) -> list[tuple[int, int]]:
    parts: list[tuple[int, int]] = []
    start = 0
    while start < rising.size:
        # As many rows as fit if all were as long as the longest of them.
        end = start + 1
        most = min(rising.size, start + max(1, tokens // int(rising[start])))
        sizes = rising[start:most] * np.arange(1, most - start + 1)
        end = start + max(1, int(np.searchsorted(sizes, tokens, side="right")))
        parts.append((start, end))
        start = end
    return parts
