"""The look at a catalogue that is too large to be multiplied by: an index finds the nearest items,
and of the others a sample stands for all (docs/decisions/0022).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from endcap.arrays import FloatArray, LongArray
from endcap.candidates import FEATURES, Crowd, Gathered
from endcap.candidates.features import BY_MODEL, told_of
from endcap.scoring.catalogue import LEAST, Added

SAMPLE = 8192
"""Items. What few items share of the sum of exponentials is found by the index; the mean of the
many others is known to some per cent by so many of them."""

Find = Callable[[FloatArray, int], tuple[LongArray, FloatArray]]
"""Of queries [B, d] the k nearest items: indexes from 1 and cosines [B, k], the best first."""


class Indexed(NamedTuple):
    """`table` [V + 1, d]: normalised; `sample` [S, d]: rows of it drawn by chance."""

    find: Find
    table: FloatArray
    sample: FloatArray


def indexed(find: Find, table: FloatArray, seed: int = 0) -> Indexed:
    """With a sample of the table's items."""
    drawn = np.random.default_rng(seed).integers(1, table.shape[0], SAMPLE)
    return Indexed(find, table, table[np.sort(drawn)])


def look_by_index(
    catalogue: Indexed,
    queries: FloatArray,
    temperature: float,
    own: int,
    gathered: Gathered,
    facts: FloatArray,
    crowd: Crowd,
) -> Added:
    """As `look`, but for the items that the index misses, and a sum of exponentials that is known
    to some per cent: of a log probability to some hundredths."""
    n_items, rows = crowd.n_items, np.repeat(np.arange(crowd.size), np.diff(gathered.offsets))
    own = min(own, n_items)
    nearest, cosines = catalogue.find(queries, own)
    nothing_known = ~queries.any(axis=1)
    nearest[nothing_known] = np.arange(1, own + 1)  # all are as near: the first, as in `look`
    log_sum = _log_sum(catalogue, queries, cosines, temperature, n_items)
    known = np.where(gathered.ids > n_items, 0, gathered.ids)
    of_candidates = np.einsum("nd,nd->n", catalogue.table[known], queries[rows])
    probability = (of_candidates * np.float32(temperature) - log_sum[rows]).clip(LEAST)
    probability[known == 0] = LEAST
    gathered.told[:, :BY_MODEL] = np.stack([probability, of_candidates], axis=1)
    # An item is told from another shopper's by its place in the catalogues side by side.
    place = nearest + np.arange(crowd.size)[:, None] * (n_items + 1)
    is_new = ~np.isin(place, rows * (n_items + 1) + gathered.ids)
    added_rows, at = np.nonzero(is_new)
    added = nearest[added_rows, at]
    its = told_of(
        np.zeros((added.size, len(FEATURES)), np.float32), facts[added], crowd.context[added_rows]
    )
    found = cosines[added_rows, at]
    its[:, 0] = (found * np.float32(temperature) - log_sum[added_rows]).clip(LEAST)
    its[:, 1] = found
    return Added(added.astype(np.int32), its, np.concatenate([[0], np.cumsum(is_new.sum(axis=1))]))


def _log_sum(
    catalogue: Indexed, queries: FloatArray, cosines: FloatArray, temperature: float, n_items: int
) -> FloatArray:
    """Of the exponentials of all items' logits, for each shopper: what was found, and for the rest
    as many times the mean of those in the sample that are further away than what was found."""
    top, least = cosines[:, :1], cosines[:, -1:]
    near = np.exp((cosines - top) * temperature).sum(axis=1)
    others = queries @ catalogue.sample.T
    is_far = others <= least
    far = np.where(is_far, np.exp((others - top) * temperature), 0.0).sum(axis=1)
    mean = far / is_far.sum(axis=1).clip(1)
    summed: FloatArray = (
        np.log(near + mean * (n_items - cosines.shape[1])) + top[:, 0] * temperature
    ).astype(np.float32)
    return summed
