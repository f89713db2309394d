"""Items with a score each: what every generator of candidates gives."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray, IntArray


class Scored(NamedTuple):
    """`ids` [n] item indexes, ascending, each once, without 0; `scores` [n], all above 0."""

    ids: IntArray
    scores: FloatArray


class Recent(NamedTuple):
    """Distinct items of a history [n], newest first; `steps` [n]: events back from the newest."""

    items: IntArray
    steps: IntArray


NOTHING = Scored(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32))


def recent_items(history: IntArray, length: int) -> Recent:
    """The known items among the last `length` events of `history` [n], which is oldest first.

    An item that came twice stands where it came last.
    """
    tail = history[: -length - 1 : -1]
    items, steps = np.unique(tail, return_index=True)
    order = np.argsort(steps)
    if items.size and items[0] == 0:
        order = order[items[order] != 0]
    return Recent(items[order].astype(np.int32), steps[order].astype(np.int32))


def sum_by_id(ids: IntArray, weights: npt.NDArray[np.floating]) -> Scored:
    """Sum the weights [n] of equal ids [n] in their order; what comes to nothing is left out."""
    if not ids.size:
        return NOTHING
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    # One after the other, as the compiled path adds them: the same sums to the last bit.
    sums = np.bincount(np.cumsum(begins) - 1, weights[order])
    unique = ordered[begins]
    keep = (sums > 0) & (unique != 0)
    return Scored(unique[keep].astype(np.int32), sums[keep].astype(np.float32))
