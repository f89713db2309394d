"""What items of Complete Journey cost before: where one costs less now, the demo shows both."""

from collections.abc import Mapping

import polars as pl

from endcap.catalogue import CatalogueItem

_EARLIER_MS = 16 * 7 * 86_400_000
_MIN_LINES = 20
_REDUCED = 0.9
"""A tenth off is a promotion; less is a change of price."""


def earlier_prices(lines: pl.DataFrame) -> Mapping[str, float]:
    """Of items bought often enough, the median price until 16 weeks before the last line."""
    until = int(lines.select(pl.col("timestamp_ms").max()).item()) - _EARLIER_MS
    found = (
        lines.filter(pl.col("timestamp_ms") < until)
        .group_by("item_id")
        .agg(pl.col("price").median().round(2), pl.len().alias("lines"))
        .filter(pl.col("lines") >= _MIN_LINES)
    )
    return dict(zip(found["item_id"], found["price"], strict=True))


def is_reduced(item: CatalogueItem, earlier: Mapping[str, float]) -> bool:
    """Whether it costs a tenth less than before, at least."""
    before = earlier.get(item.item_id)
    return before is not None and item.price is not None and item.price <= _REDUCED * before
