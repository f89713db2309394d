"""Which items of a category stand in for one another, told from baskets.

Two things that serve one need are rarely bought at once: of items of one category, those that meet
in baskets less often than chance would bring them together are substitutes. Items by items; nobody
who bought them is known here.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from endcap.pricing.completejourney import lines_of
from endcap.pricing.panel import Array, Panel

_SMOOTH = 5.0
"""Expected meetings that are added to both sides of a lift: few baskets say little."""


class Baskets(NamedTuple):
    """How many purchases hold item i (I,), both of i and j (I, I), and how many there are."""

    of_item: Array
    of_pair: Array
    number: int


def substitution(panel: Panel, baskets: Baskets | None = None) -> Array:
    """Weights (I, I): the shares of item i's substitutes, rows that sum to 1 or are all 0.

    Within a category by units, and where baskets are known by how far below chance two items meet.
    Without them each item of the category counts by its units alone.
    """
    names = np.array([item.category for item in panel.items])
    same = names[:, None] == names[None, :]
    np.fill_diagonal(same, False)
    weights = same * panel.units.mean(axis=1)[None, :]
    if baskets is not None:
        weights = weights * np.clip(1 - _lift(baskets), 0, 1)
    sums = weights.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(weights, sums, out=np.zeros_like(weights), where=sums > 0))


def baskets_of(folder: Path, panel: Panel, until_week: int) -> Baskets:
    """Complete Journey's baskets with the panel's items, of weeks up to `until_week`."""
    places = pl.DataFrame(
        {
            "product_id": [int(item.item_id) for item in panel.items],
            "row": np.arange(len(panel.items)),
        }
    )
    lines = lines_of(folder).filter(pl.col("week") <= until_week)
    number = lines.select(pl.col("basket_id").n_unique()).collect().item()
    ours = lines.join(places.lazy(), on="product_id").select("basket_id", "row").unique().collect()
    size = len(panel.items)
    of_item = np.bincount(ours["row"].to_numpy(), minlength=size).astype(float)
    pairs = ours.join(ours, on="basket_id", suffix="_2").group_by("row", "row_2").len()
    of_pair = np.zeros((size, size))
    of_pair[pairs["row"].to_numpy(), pairs["row_2"].to_numpy()] = pairs["len"].to_numpy()
    return Baskets(of_item, of_pair, int(number))


def _lift(baskets: Baskets) -> npt.NDArray[np.float64]:
    expected = np.outer(baskets.of_item, baskets.of_item) / max(1, baskets.number)
    return np.asarray((baskets.of_pair + _SMOOTH) / (expected + _SMOOTH))
