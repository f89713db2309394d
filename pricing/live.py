"""Demand of today moves the forecast: purchases that the stream counted against those expected.

The week's rate is a Gamma variable around the forecast; purchases seen so far are Poisson of its
part of the week. The posterior's mean is a weighted mean of both: one early purchase moves
little, a day of them much (Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.6).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from endcap.errors import DataError
from endcap.pricing.panel import Array, Panel

WEEK_DAYS = 7.0


class SeenDemand(NamedTuple):
    """Purchases by item id, over how many days; where they were counted, for every output."""

    purchases: Mapping[str, float]
    days: float
    told: str


class Updated(NamedTuple):
    """Units a week (I,) after what was seen, the factor by item, and what it counts."""

    level: Array
    factor: Array
    purchases: Array


def update_level(level: Array, panel: Panel, seen: SeenDemand, spread: float) -> Updated:
    """The forecast `level` (I,), units a week, after the purchases that were seen.

    A purchase is a basket with the item, whatever its pieces. `spread`: a of a week's variance
    m + a m^2, which is what the forecast may be off by.
    """
    if seen.days <= 0:
        raise DataError("Demand was seen over 0 days; wait for an hour of events at least.")
    recent = panel.last_weeks(26)
    pieces = (recent.units.sum(axis=1) + 1) / (recent.lines.sum(axis=1) + 1)
    expected = np.maximum(level / pieces * seen.days / WEEK_DAYS, 1e-6)
    found = np.array([seen.purchases.get(item.item_id, 0.0) for item in panel.items])
    certainty = 1 / spread
    factor = (certainty + found) / (certainty + expected)
    return Updated(level * factor, factor, found)


def read_demand(file: Path) -> SeenDemand:
    """A CSV file of item_id, purchases and days (the same in each row).

    Raises:
        DataError: it cannot be read, or holds what it must not.
    """
    try:
        table = pl.read_csv(file, schema_overrides={"item_id": pl.String})
        rows = table.select("item_id", pl.col("purchases", "days").cast(pl.Float64))
    except (OSError, PolarsError) as error:
        raise DataError(
            f"{file} cannot be read as demand ({error}). It is CSV with the columns item_id, "
            "purchases and days."
        ) from error
    days = rows["days"].unique().to_list()
    if len(days) != 1 or not days[0] or days[0] <= 0:
        raise DataError(f"{file}: days must be one number above 0, the same in each row.")
    if rows["purchases"].is_null().any() or (rows["purchases"] < 0).any():
        raise DataError(f"{file}: purchases must be numbers of 0 or more.")
    counts = rows.group_by("item_id").agg(pl.col("purchases").sum()).rows()
    return SeenDemand(dict(counts), float(days[0]), str(file))
