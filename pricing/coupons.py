"""Coupons as features of a forecast: tried, measured by `endcap price backtest --coupons`.

What is redeemed in a week is part of that week's demand: a forecast may look at redemptions of
before alone, and at what the shop has planned.
"""

import numpy as np
import polars as pl

from endcap.errors import DataError
from endcap.pricing.panel import Array, Panel

COLUMNS = ("coupon_reach", "coupon_share", "matched_share")
"""Of a panel's table, shares from 0 to 1: of households with a coupon for the item in hand, as
campaigns are planned; of purchase lines with a coupon, and with one that the shop matches."""
_WEEKS = 4


def coupon_features(table: pl.DataFrame, panel: Panel, horizon: int) -> Array:
    """For each item and week (I, W, 4): the planned reach, the same less its mean of 8 weeks, and
    the mean shares of lines of the newest `_WEEKS` weeks that are known `horizon` weeks before.

    Raises:
        DataError: the table does not have `COLUMNS`.
    """
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise DataError(
            f"The panel has no {', '.join(missing)}: Complete Journey's has, and "
            "`endcap price panel` writes it."
        )
    reach, share, matched = (_cells(table, panel, name) for name in COLUMNS)
    return np.stack(
        [
            reach,
            reach - _mean_before(reach, 8, 1),
            _mean_before(share, _WEEKS, horizon),
            _mean_before(matched, _WEEKS, horizon),
        ],
        axis=2,
    )


def _cells(table: pl.DataFrame, panel: Panel, name: str) -> Array:
    places = {item.item_id: n for n, item in enumerate(panel.items)}
    known = table.filter(pl.col("item_id").is_in(list(places)))
    known = known.filter(pl.col("week").is_between(panel.weeks[0], panel.weeks[-1]))
    cells = np.zeros(panel.units.shape)
    rows = np.array([places[each] for each in known["item_id"]], np.intp)
    columns = (known["week"] - panel.weeks[0]).to_numpy().astype(np.intp)
    cells[rows, columns] = known[name].cast(pl.Float64).fill_null(0.0).to_numpy()
    return cells


def _mean_before(cells: Array, weeks: int, horizon: int) -> Array:
    """Of the `weeks` weeks that end `horizon` before each; of fewer at the beginning, 0 of none."""
    sums = np.cumsum(np.pad(cells, ((0, 0), (1, 0))), axis=1)
    ends = np.maximum(0, np.arange(cells.shape[1]) - horizon + 1)
    begins = np.maximum(0, ends - weeks)
    return np.asarray((sums[:, ends] - sums[:, begins]) / np.maximum(1, ends - begins))
