"""Sessions and candidates as the padded arrays that the whole graph takes."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import IntArray, LongArray
from endcap.candidates import CONTEXT, FEATURES, Crowd, Gathered

MAX_GAP_STEP = 15
_MONTH_S = 30 * 86_400


class Batch(NamedTuple):
    """The graph's inputs: `item_ids`, `event_types`, `time_gaps` [B, L]; `candidate_ids` [B, C];
    `features` [B, C, F]; `context` [B, len(CONTEXT)]. Sessions are padded on the left, candidates
    on the right, with 0. Sessions hold known items alone, candidates a shopper's strange ones too
    (`Shopper`): of these the graph goes by the features."""

    item_ids: npt.NDArray[np.int64]
    event_types: npt.NDArray[np.int64]
    time_gaps: npt.NDArray[np.int64]
    candidate_ids: npt.NDArray[np.int64]
    features: npt.NDArray[np.float32]
    context: npt.NDArray[np.float32]


class ScoredItems(NamedTuple):
    """What the graph gives: `ids` and `scores` [B, C + own], the candidates in their places, then
    the items that the Transformer adds by itself. Padding, and what would come twice, has id 0."""

    ids: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


class Known(NamedTuple):
    """Of a crowd's events [T] those that the Transformer reads: the newest of items that it knows,
    shopper by shopper, oldest first. `row`: whose; `back`: events back from the newest of them;
    `gaps`: steps of `gap_steps` since the event before, 0 for the first; `counts` [B]."""

    items: IntArray
    types: IntArray
    gaps: IntArray
    row: LongArray
    back: LongArray
    counts: LongArray


def known_events(crowd: Crowd, max_length: int) -> Known:
    """At most the newest `max_length` of each shopper."""
    at = np.flatnonzero(crowd.history <= crowd.n_items)
    row = np.repeat(np.arange(crowd.size), np.diff(crowd.history_at))[at]
    counts = np.bincount(row, minlength=crowd.size)
    back = np.cumsum(counts)[row] - 1 - np.arange(at.size)
    kept = back < max_length
    at, row, back = at[kept], row[kept], back[kept]
    times_ms = crowd.times_ms[at]
    gaps = np.diff(times_ms, prepend=0)
    is_first = np.diff(row, prepend=-1) > 0
    steps = np.where(is_first, 0, gap_steps(gaps)).astype(np.int32)
    return Known(
        crowd.history[at], crowd.types[at], steps, row, back, np.minimum(counts, max_length)
    )


def least_gaps_ms() -> LongArray:
    """The least gap that is of each step from 1 to `MAX_GAP_STEP`, as `gap_steps` has it.

    >>> least_gaps_ms()[:3].tolist()
    [0, 1872, 7246]
    """
    low = np.zeros(MAX_GAP_STEP, dtype=np.int64)
    high = np.full(MAX_GAP_STEP, 2 * _MONTH_S * 1000)
    steps = np.arange(1, MAX_GAP_STEP + 1)
    while (low < high).any():
        middle = (low + high) // 2
        is_of_it = gap_steps(middle) >= steps
        low, high = np.where(is_of_it, low, middle + 1), np.where(is_of_it, middle, high)
    return low


def make_batch(crowd: Crowd, gathered: Gathered, max_length: int) -> Batch:
    """Pad to the longest session and the longest candidate set of this batch, no further."""
    known, rows = known_events(crowd, max_length), crowd.size
    length = max(1, int(known.counts.max(initial=1)))
    counts = np.diff(gathered.offsets)
    width = max(1, int(counts.max(initial=1)))
    batch = Batch(
        np.zeros((rows, length), dtype=np.int64),
        np.zeros((rows, length), dtype=np.int64),
        np.zeros((rows, length), dtype=np.int64),
        np.zeros((rows, width), dtype=np.int64),
        np.zeros((rows, width, len(FEATURES)), dtype=np.float32),
        crowd.context.reshape(rows, len(CONTEXT)),
    )
    place = known.row, length - 1 - known.back
    batch.item_ids[place] = known.items
    batch.event_types[place] = known.types
    batch.time_gaps[place] = known.gaps
    row = np.repeat(np.arange(rows), counts)
    place = row, np.arange(row.size) - gathered.offsets[row]
    batch.candidate_ids[place] = gathered.ids
    batch.features[place] = gathered.features
    return batch


def gap_steps(gaps_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Gaps between events as steps from 1 (none) to `MAX_GAP_STEP` (a month and more), even in the
    logarithm.

    >>> gap_steps(np.array([0, 60_000, 86_400_000, 10**12])).tolist()
    [1, 4, 11, 15]
    """
    seconds = np.maximum(gaps_ms, 0) / 1000.0
    steps = 1 + (MAX_GAP_STEP - 1) * np.log1p(seconds) / np.log1p(_MONTH_S)
    whole: npt.NDArray[np.int64] = np.minimum(steps, MAX_GAP_STEP).astype(np.int64)
    return whole
