"""One look at the whole catalogue for each shopper: what the model says of each candidate, and the
nearest items, which are added to them.

Plain arrays; `native_catalogue.pyx` is the same without one for each step.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray, IntArray, LongArray
from endcap.candidates import FEATURES, Gathered
from endcap.candidates.features import BY_MODEL, told_of

LEAST = -30.0
"""Of a log probability: what the model knows nothing of has none."""


class Added(NamedTuple):
    """Items [A] that the Transformer adds for B shoppers, in any order; those of `b` stand at
    `offsets[b]:offsets[b + 1]`. `told` [A, len(INPUTS)]."""

    ids: IntArray
    told: FloatArray
    offsets: LongArray


def look(
    cosines: FloatArray,
    temperature: float,
    own: int,
    gathered: Gathered,
    facts: FloatArray,
    context: FloatArray,
) -> Added:
    """Fill in what the model says of the candidates (in `gathered.told`), and add its `own` nearest
    items to them; what is a candidate already is not added twice. Shoppers [B]: `cosines`
    [B, V + 1] between their queries and the items, `context` [B, len(CONTEXT)]; `facts`
    [V + 1, len(FACTS)]."""
    ids, told, n_items = [], [], facts.shape[0] - 1
    for row, near in enumerate(cosines):
        begins, ends = gathered.offsets[row : row + 2]
        logits = near * np.float32(temperature)
        logits[0] = -1e4
        order = np.argsort(-logits, kind="stable")[: min(own, n_items)]
        shifted = logits - logits[order[0]]
        probability = (shifted - np.log(np.exp(shifted).sum())).clip(LEAST)
        # What the model knows nothing of has an index behind the catalogue, and the row of nothing.
        candidates = gathered.ids[begins:ends]
        known = np.where(candidates > n_items, 0, candidates)
        gathered.told[begins:ends, :BY_MODEL] = np.stack([probability[known], near[known]], axis=1)
        added = order[~np.isin(order, candidates)].astype(np.int32)
        nothing = np.zeros((added.size, len(FEATURES)), np.float32)
        its = told_of(nothing, facts[added], context[row])
        its[:, :BY_MODEL] = np.stack([probability[added], near[added]], axis=1)
        ids.append(added)
        told.append(its)
    return Added(
        np.concatenate([np.empty(0, np.int32), *ids]),
        np.concatenate([gathered.told[:0], *told]),
        np.cumsum([0, *(each.size for each in ids)]),
    )


def nearest(queries: FloatArray, table: FloatArray) -> FloatArray:
    """Cosines [B, V + 1] between queries [B, d] and items [V + 1, d], all of length 1 or 0."""
    cosines: npt.NDArray[np.float32] = queries @ table.T
    return cosines
