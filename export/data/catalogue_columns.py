"""What a shop sells, from its events and, where there is one, a file of its items."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from endcap.catalogue import CatalogueItem
from endcap.errors import DataError
from endcap.export.data.refusals import Fault, refuse_bad_rows
from endcap.export.data.tables import open_table, reading, text_of

ITEMS_OPTION = "--items-column"
_TEXTS = ("title", "category", "department")


def items_met(events: pl.LazyFrame, columns: Sequence[str]) -> pl.DataFrame:
    """One row an item that events name: `item_id`, and the newest that they say of `columns`."""
    newest = [
        pl.col(name)
        .filter(pl.col(name).is_not_null())
        .max_by(pl.col("time_ms").filter(pl.col(name).is_not_null()))
        for name in columns
    ]
    return events.group_by("item_id").agg(newest).collect(engine="streaming")


def items_of_file(path: Path, columns: Mapping[str, str]) -> pl.DataFrame:
    """One row an item of a file with `item_id` and what it has of title, category, department and
    price; CSV or Parquet. `columns`: what the file calls them, as `open_table` takes it.

    Raises:
        DataError: no such file or column, or a row without an id, of a bad price, or met before.
    """
    table = open_table(path, ("item_id",), (*_TEXTS, "price"), columns, ITEMS_OPTION)
    with reading(table.files):
        rows = table.frame.collect(engine="streaming")
    kinds = rows.schema
    named = [text_of(name, kinds[name]) for name in ("item_id", *_TEXTS) if name in kinds]
    price = [pl.col("price").cast(pl.Float64, strict=False)] if "price" in kinds else []
    faults = {
        "no_id": Fault(
            "item_id", text_of("item_id", kinds["item_id"]).is_null(), "", "Give each item its id."
        ),
        "again": Fault(
            "item_id",
            text_of("item_id", kinds["item_id"]).is_first_distinct().not_(),
            "which an earlier row has too",
            "Keep one row an item.",
        ),
    }
    if price:
        faults["price"] = bad_number("price", "Leave the price empty where it is not known.")
    refuse_bad_rows(rows.lazy(), table, faults)
    return rows.select(*named, *price)


def why_untitled(path: Path, columns: Mapping[str, str]) -> str:
    """What a file of items lacks, and what to do, where none of its items has a title."""
    try:
        open_table(path, ("item_id", "title"), (), columns, ITEMS_OPTION)
    except DataError as error:
        return str(error)
    return f"{path} has no word in its column {columns.get('title', 'title')!r}."


def bad_number(name: str, advice: str) -> Fault:
    """A value that is there and no number from 0 on."""
    column = pl.col(name)
    number = column.cast(pl.Float64, strict=False)
    said = column.is_not_null() & (column.cast(pl.String).str.strip_chars() != "")
    return Fault(
        name,
        said & ~(number.is_not_null() & number.is_finite() & (number >= 0)),
        "which is no number from 0 on",
        advice,
    )


def catalogue(met: pl.DataFrame, sold: pl.DataFrame | None) -> tuple[CatalogueItem, ...]:
    """All items by their id, the ones never met among them; what a file says goes before what
    events say, and the id stands for a title that is not known.

    The order says nothing of how often an item is met: that would tell of the test.
    """
    if sold is None:
        rows = met
    else:
        rows = met.join(sold, on="item_id", how="full", coalesce=True, suffix="_sold")
        both = [name for name in met.columns if f"{name}_sold" in rows.columns]
        rows = rows.with_columns(pl.coalesce(f"{name}_sold", name).alias(name) for name in both)
    names = [name for name in ("title", "category", "department", "price") if name in rows.columns]
    rows = rows.sort("item_id").select("item_id", *names)
    return tuple(
        CatalogueItem(
            row["item_id"],
            row.get("title") or row["item_id"],
            row.get("category") or "",
            row.get("department") or "",
            row.get("price"),
        )
        for row in rows.iter_rows(named=True)
    )
