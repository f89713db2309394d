"""Vectors for items that no event has named yet, from their text and their price."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray
from endcap.catalogue import CatalogueItem

_NEIGHBOURS = 20
_SHARPNESS = 10.0
"""A neighbour whose text is less similar by 0.1 weighs 1/e."""
_PRICE_WEIGHT = 0.3
"""Twice the price costs as much as 0.21 of the cosine. Of one text there are many sizes and brands,
and their prices tell them apart: docs/decisions/0017 has what was measured without it."""
_PAIRS = 1 << 23
"""Of items, compared at once: 32 MB a table of them, whatever the size of the catalogue."""


def place_cold_items(
    items: Sequence[CatalogueItem],
    text_vectors: FloatArray,
    item_vectors: FloatArray,
    is_known: npt.NDArray[np.bool_],
) -> FloatArray:
    """The item vectors [V+1, d] with a place for each item that is not known.

    `text_vectors` [V+1, t] of length 1; `is_known` [V+1]: whether training saw the item; row 0 is
    padding. A cold item's vector is the weighted mean of those of the 20 known items that are most
    like it. It is not normalised again: where these disagree it is short, and the item stands back.
    """
    prices = _log_prices(items)
    known = np.flatnonzero(is_known[1:]) + 1
    cold = np.flatnonzero(~is_known[1:]) + 1
    placed = item_vectors.copy()
    if not known.size:
        return placed
    at_once = max(1, _PAIRS // known.size)
    for start in range(0, cold.size, at_once):
        rows = cold[start : start + at_once]
        weights, nearest = _like(rows, known, text_vectors, prices)
        placed[rows] = np.einsum("nk,nkd->nd", weights, item_vectors[nearest])
    return placed


def popularity_of_like(
    items: Sequence[CatalogueItem],
    text_vectors: FloatArray,
    counts: FloatArray,
    is_known: npt.NDArray[np.bool_],
) -> FloatArray:
    """How often an item may come to be bought [V+1]: for a cold one, as often as those like it."""
    return place_cold_items(items, text_vectors, counts[:, None], is_known)[:, 0]


def _like(
    rows: npt.NDArray[np.intp],
    known: npt.NDArray[np.intp],
    text_vectors: FloatArray,
    prices: FloatArray,
) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """Weights and item indexes of each row's nearest known items [n, k]."""
    alike = text_vectors[rows] @ text_vectors[known].T
    alike -= _PRICE_WEIGHT * np.abs(prices[rows][:, None] - prices[known][None, :])
    count = min(_NEIGHBOURS, known.size)
    nearest = np.argpartition(-alike, count - 1, axis=1)[:, :count]
    found = np.take_along_axis(alike, nearest, axis=1)
    weights = np.exp(_SHARPNESS * (found - found.max(axis=1, keepdims=True)))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32), known[nearest]


def _log_prices(items: Sequence[CatalogueItem]) -> FloatArray:
    """Of each item [V+1]; the median where the shop does not say one."""
    said = np.array([np.nan, *(item.price or np.nan for item in items)])
    logs = np.log(np.maximum(said, 0.01))
    middle = np.nanmedian(logs) if np.isfinite(logs).any() else 0.0
    return np.where(np.isfinite(logs), logs, middle).astype(np.float32)
