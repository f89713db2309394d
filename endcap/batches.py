"""Sessions and candidates as the padded arrays that the ONNX graph takes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.candidates import FEATURES, Candidates, Shopper


class Batch(NamedTuple):
    """The graph's inputs: `item_ids`, `event_types` [B, L]; `candidate_ids` [B, C];
    `features` [B, C, F]. Sessions are padded on the left, candidates on the right, with 0."""

    item_ids: npt.NDArray[np.int64]
    event_types: npt.NDArray[np.int64]
    candidate_ids: npt.NDArray[np.int64]
    features: npt.NDArray[np.float32]


def make_batch(
    shoppers: Sequence[Shopper], candidates: Sequence[Candidates], max_length: int
) -> Batch:
    """Pad to the longest session and the longest candidate set of this batch, no further."""
    rows = len(shoppers)
    length = max(1, min(max_length, max(s.history.size for s in shoppers)))
    width = max(c.ids.size for c in candidates)
    batch = Batch(
        np.zeros((rows, length), dtype=np.int64),
        np.zeros((rows, length), dtype=np.int64),
        np.zeros((rows, width), dtype=np.int64),
        np.zeros((rows, width, len(FEATURES)), dtype=np.float32),
    )
    for row, (shopper, found) in enumerate(zip(shoppers, candidates, strict=True)):
        kept = min(length, shopper.history.size)
        if kept:
            batch.item_ids[row, -kept:] = shopper.history[-kept:]
            batch.event_types[row, -kept:] = shopper.types[-kept:]
        batch.candidate_ids[row, : found.ids.size] = found.ids
        batch.features[row, : found.ids.size] = found.features
    return batch
