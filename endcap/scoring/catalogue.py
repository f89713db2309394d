"""One look at the whole catalogue for each shopper, and what the blend is told of each item.

Plain arrays; `native_catalogue.pyx` is the same without one for each step.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray, IntArray, LongArray
from endcap.candidates import CONTEXT, FEATURES, GENERATED, Gathered
from endcap.candidates.generators import Generators

LEAST = -30.0
"""Of a log probability: what the model knows nothing of has none."""
FACTS = ("popularity", "popularity_now")
INPUTS = (
    "log_probability",
    "cosine",
    *FEATURES,
    *(f"{name}_share" for name in FEATURES[GENERATED:]),
    *FACTS,
    *CONTEXT,
)
"""What the blend is told of each candidate."""


class Told(NamedTuple):
    """Items [M] of B shoppers one after the other, those of `b` at `offsets[b]:offsets[b + 1]`:
    the candidates, then those that the Transformer adds. `inputs` [M, len(INPUTS)]."""

    ids: IntArray
    inputs: FloatArray
    offsets: LongArray


def facts_of(generators: Generators) -> FloatArray:
    """Log popularities [V + 1, len(FACTS)]: of all events, and of the newest."""
    shares = np.stack([generators.popularity, generators.popularity_now], axis=1)
    logarithms: FloatArray = np.log(shares + 1e-6).astype(np.float32)
    return logarithms


def tell(
    cosines: FloatArray,
    temperature: float,
    own: int,
    gathered: Gathered,
    facts: FloatArray,
    context: FloatArray,
) -> Told:
    """Shoppers [B]: `cosines` [B, V + 1] between their queries and the items, `context`
    [B, len(CONTEXT)]; `facts` [V + 1, len(FACTS)]. `own`: how many of the nearest items are added;
    what is a candidate already is not added twice."""
    ids, inputs, n_items = [], [], facts.shape[0] - 1
    for row, near in enumerate(cosines):
        found = gathered.of(row)
        logits = near * np.float32(temperature)
        logits[0] = -1e4
        order = np.argsort(-logits, kind="stable")[: min(own, n_items)]
        shifted = logits - logits[order[0]]
        probability = shifted - np.log(np.exp(shifted).sum())
        added = order[~np.isin(order, found.ids)].astype(np.int32)
        ids.append(np.concatenate([found.ids, added]))
        # What the model knows nothing of has an index behind the catalogue, and the row of nothing.
        known = np.where(ids[-1] > n_items, 0, ids[-1])
        features = np.zeros((known.size, len(FEATURES)), np.float32)
        features[: found.ids.size] = found.features
        scores = features[:, GENERATED:]
        inputs.append(
            np.concatenate(
                [
                    probability[known, None].clip(LEAST),
                    near[known, None],
                    features,
                    scores / scores.max(axis=0, initial=0.0).clip(1e-6),
                    facts[known],
                    np.broadcast_to(context[row], (known.size, len(CONTEXT))),
                ],
                axis=1,
            )
        )
    return Told(
        np.concatenate([np.empty(0, np.int32), *ids]),
        np.concatenate([np.empty((0, len(INPUTS)), np.float32), *inputs]),
        np.cumsum([0, *(each.size for each in ids)]),
    )


def nearest(queries: FloatArray, table: FloatArray) -> FloatArray:
    """Cosines [B, V + 1] between queries [B, d] and items [V + 1, d], all of length 1 or 0."""
    cosines: npt.NDArray[np.float32] = queries @ table.T
    return cosines
