"""Rows that cannot be taken, told by the row and the reason."""

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from endcap.errors import DataError
from endcap.export.data.tables import Table, place_of


class Fault(NamedTuple):
    """`column`: whose value is shown. `is_bad`: where a row has the fault. `advice`: what to do."""

    column: str
    is_bad: pl.Expr
    reason: str
    advice: str


def refuse_bad_rows(frame: pl.LazyFrame, source: Table, faults: Mapping[str, Fault]) -> None:
    """One pass over all rows for all faults.

    Raises:
        DataError: names the first bad row, its value, why it is bad, and how many are like it.
    """
    # In two steps, or Polars looks for a fault twice; and `when`, because it holds in memory what
    # a `filter` within an aggregation goes over.
    bad = frame.select("row", *[fault.is_bad.alias(name) for name, fault in faults.items()])
    found = (
        bad.select(
            *[pl.when(name).then("row").min().alias(f"{name}.first") for name in faults],
            *[pl.col(name).sum().alias(f"{name}.count") for name in faults],
        )
        .collect(engine="streaming")
        .row(0, named=True)
    )
    firsts = {name: found[f"{name}.first"] for name in faults if found[f"{name}.count"]}
    if not firsts:
        return
    worst = min(firsts, key=lambda name: int(firsts[name]))
    fault, row = faults[worst], int(firsts[worst])
    value = (
        frame.filter(pl.col("row") == row).select(fault.column).collect(engine="streaming").item()
    )
    others = int(found[f"{worst}.count"]) - 1
    more = f" {others:,} more like it." if others else ""
    said = f"is {value!r}, {fault.reason}" if str(value or "").strip() else "is empty"
    raise DataError(f"{place_of(row, source.files)}: {fault.column} {said}.{more} {fault.advice}")
