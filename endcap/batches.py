"""Sessions and candidates as the padded arrays that the ONNX graph takes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.candidates import CONTEXT, FEATURES, Gathered, Shopper

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

    def row(self, number: int) -> "ScoredRow":
        """One shopper's."""
        return ScoredRow(self.ids[number], self.scores[number])


class ScoredRow(NamedTuple):
    """`ids` and `scores` [C + own] of one shopper."""

    ids: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


def make_batch(shoppers: Sequence[Shopper], gathered: Gathered, max_length: int) -> Batch:
    """Pad to the longest session and the longest candidate set of this batch, no further."""
    rows = len(shoppers)
    told = [shopper.history <= shopper.n_items for shopper in shoppers]
    length = max(1, min(max_length, max(int(known.sum()) for known in told)))
    width = max(1, int(np.diff(gathered.offsets).max()))
    batch = Batch(
        np.zeros((rows, length), dtype=np.int64),
        np.zeros((rows, length), dtype=np.int64),
        np.zeros((rows, length), dtype=np.int64),
        np.zeros((rows, width), dtype=np.int64),
        np.zeros((rows, width, len(FEATURES)), dtype=np.float32),
        np.zeros((rows, len(CONTEXT)), dtype=np.float32),
    )
    for row, (shopper, known) in enumerate(zip(shoppers, told, strict=True)):
        kept = min(length, int(known.sum()))
        if kept:
            batch.item_ids[row, -kept:] = shopper.history[known][-kept:]
            batch.event_types[row, -kept:] = shopper.types[known][-kept:]
            gaps = gap_steps(np.diff(shopper.times_ms[known][-kept:]))
            batch.time_gaps[row, length - kept + 1 :] = gaps
        found = gathered.of(row)
        batch.candidate_ids[row, : found.ids.size] = found.ids
        batch.features[row, : found.ids.size] = found.features
        batch.context[row] = shopper.context
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
