"""A shop's events from CSV or Parquet, larger than memory where they must be."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import polars as pl

from endcap.arrays import IntArray
from endcap.catalogue import CatalogueItem
from endcap.counted import counted
from endcap.errors import DataError
from endcap.export.data.catalogue_columns import bad_number, catalogue, items_met, items_of_file
from endcap.export.data.event_names import LEFT_OUT, event_codes
from endcap.export.data.event_times import TimeColumn, time_column
from endcap.export.data.flat_arrays import SESSION_GAP_MS, flat_in_memory, flat_on_disk
from endcap.export.data.interactions import DataSet
from endcap.export.data.refusals import Fault, refuse_bad_rows
from endcap.export.data.tables import Table, open_table, reading, text_of

REQUIRED = ("user_id", "item_id", "event_type", "timestamp")
OPTIONAL = ("session_id", "price", "quantity", "title", "category")

MEMORY_BYTES = 1 << 30
"""Of events as text; more are sorted on disk. Sorting in memory takes about four times as much."""

_BYTES_OF_A_ROW = 100


class EventForm(NamedTuple):
    """How a file says what endcap wants to know.

    `columns`: its names for ours ({"user_id": "visitorid"}; "=purchase" is a value for all rows).
    `event_types`: its names for ours ({"pdp": "view_item"}; "ignore" leaves such events out).
    `items`: a file of items, with `item_id` and what it has of title, category, department, price.
    `item_columns`: its names for ours, as `columns` has the events' ({"title": "name"}).
    """

    columns: Mapping[str, str] = MappingProxyType({})
    event_types: Mapping[str, str] = MappingProxyType({})
    items: Path | None = None
    item_columns: Mapping[str, str] = MappingProxyType({})


def read_events(
    path: Path, form: EventForm, folder: Path, memory_bytes: int = MEMORY_BYTES
) -> DataSet:
    """A file, a folder or a glob; shoppers in the order of their ids, each one's events in time.

    Events that are no act upon an item (a search, a refund) are left out, and rows that are equal
    in all that is read but the first. What is larger than `memory_bytes` as text goes by the disk:
    the arrays are then memory-mapped files in `folder`, which must stay.

    1. Hold the rows as they are: in memory, or as Parquet in `folder`.
    2. Look for rows that cannot be taken.
    3. Number shoppers and items in the order of their ids.
    4. Sort, and lay flat.

    Raises:
        DataError: a missing column, or the first row with an empty id, an unknown type, an
            unreadable time, or a price or quantity that is no number from 0 on; or no event left.
    """
    table = open_table(path, REQUIRED, OPTIONAL, form.columns)
    codes = event_codes(form.event_types)
    sold = None if form.items is None else items_of_file(form.items, form.item_columns)
    on_disk = table.text_bytes > memory_bytes
    with _held(table, folder if on_disk else None) as rows:
        held = _with_types(rows, codes)
        times = time_column(held, "timestamp")
        refuse_bad_rows(held, table, _faults(held, table.columns, times))
        events = _events(held, table.columns, times)

        n_rows = int(held.select(pl.len()).collect(engine="streaming").item())
        at_once = max(1, memory_bytes // _BYTES_OF_A_ROW if on_disk else n_rows)
        shoppers = _shoppers(events, n_rows, at_once)
        if shoppers.is_empty():
            raise DataError(_nothing_left(path, n_rows, held))
        met = items_met(events, [n for n in ("title", "category", "price") if n in table.columns])
        items = catalogue(met, sold)
        coded = _coded(events, shoppers, [item.item_id for item in items])
        if on_disk:
            flat = flat_on_disk(coded, shoppers["rows"].to_numpy(), at_once, folder)
        else:
            flat = flat_in_memory(coded, shoppers.height)
    gap = f"{SESSION_GAP_MS // 60_000} minutes without an event end one"
    return DataSet(
        name=_name(path),
        interactions=flat.interactions,
        sequence_ids=tuple(shoppers["user_id"].to_list()),
        items=items,
        facts={
            "source": str(path),
            "format": "events",
            "rows": str(n_rows),
            "left_out_as_no_act_upon_an_item": str(n_rows - int(shoppers["rows"].sum())),
            "left_out_as_duplicates": str(flat.duplicates),
            "events": str(flat.interactions.items.size),
            "shoppers": str(shoppers.height),
            "items": str(len(items)),
            "items_without_an_event": str(len(items) - met.height),
            "timestamp": times.kind,
            "sessions": f"session_id, or {gap}" if "session_id" in table.columns else gap,
            "first_event": _iso(int(flat.interactions.times_ms.min())),
            "last_event": _iso(int(flat.interactions.times_ms.max())),
        },
        offered=_offered(items, sold),
    )


@contextmanager
def _held(table: Table, folder: Path | None) -> Iterator[pl.LazyFrame]:
    """The rows where they can be read more than once without parsing text again."""
    if folder is None:
        with reading(table.files):
            rows = table.frame.collect(engine="streaming")
        yield rows.lazy()
        return
    folder.mkdir(parents=True, exist_ok=True)
    kept_at = folder / "rows.parquet"
    try:
        with reading(table.files):
            table.frame.sink_parquet(kept_at, engine="streaming")
        yield pl.scan_parquet(kept_at)
    finally:
        kept_at.unlink(missing_ok=True)


def _with_types(held: pl.LazyFrame, codes: Mapping[str, int]) -> pl.LazyFrame:
    """With a column `type`: the code of `event_type`, null where it is not known.

    Not `replace_strict`: that holds the column in memory, 500 MB for ten million rows. In an Enum
    whose names stand in the order of their codes, a name is a number and a code a range of them.
    """
    ordered = sorted(codes, key=lambda theirs: codes[theirs])
    ends = {codes[theirs]: end for end, theirs in enumerate(ordered, start=1)}
    name = pl.col("event_type").cast(pl.String).str.strip_chars().str.to_lowercase()
    # In two steps, or Polars reads the name anew for each code.
    return held.with_columns(
        name.cast(pl.Enum(ordered), strict=False).to_physical().alias("type")
    ).with_columns(
        pl.coalesce(
            pl.when(pl.col("type") < end).then(pl.lit(code, pl.Int8)) for code, end in ends.items()
        ).alias("type")
    )


def _faults(held: pl.LazyFrame, columns: tuple[str, ...], times: TimeColumn) -> dict[str, Fault]:
    kinds = held.collect_schema()
    code = pl.col("type")
    faults = {
        "user_id": Fault(
            "user_id",
            text_of("user_id", kinds["user_id"]).is_null(),
            "",
            "Each row needs its shopper.",
        ),
        "item_id": Fault(
            "item_id",
            text_of("item_id", kinds["item_id"]).is_null() & (code > 0),
            "",
            "A view, a cart or a purchase needs its item.",
        ),
        "event_type": Fault(
            "event_type",
            code.is_null(),
            "which is no type that endcap knows",
            "Say what it is, such as --event-type NAME=view_item, or leave it out with "
            f"--event-type NAME={LEFT_OUT}. docs/models.md lists what is known.",
        ),
        "timestamp": Fault(
            "timestamp",
            times.milliseconds.is_null(),
            f"which cannot be read as the column's other values are: {times.kind}",
            "Write Unix seconds, Unix milliseconds or ISO 8601 (2024-05-31T18:30:00Z), one of them "
            "in all rows.",
        ),
    }
    for name in ("price", "quantity"):
        if name in columns:
            faults[name] = bad_number(
                name, "Leave it empty where it is not known; give a return its own event type."
            )
    return faults


def _events(held: pl.LazyFrame, columns: tuple[str, ...], times: TimeColumn) -> pl.LazyFrame:
    kinds = held.collect_schema()
    texts = ("user_id", "item_id", "session_id", "title", "category")
    return held.select(
        "row",
        *[text_of(name, kinds[name]).alias(name) for name in texts if name in columns],
        *[
            pl.col(name).cast(pl.Float64, strict=False)
            for name in ("price", "quantity")
            if name in columns
        ],
        times.milliseconds.alias("time_ms"),
        "type",
    ).filter(pl.col("type") > 0)


def _shoppers(events: pl.LazyFrame, n_rows: int, at_once: int) -> pl.DataFrame:
    """`user_id` in order, and how many `rows` each has.

    A part of the rows after the other: over all at once Polars keeps what it has seen of a shopper
    many times, 900 MB for thirty million rows of half a million shoppers.
    """
    parts: list[pl.DataFrame] = []
    for first in range(1, max(1, n_rows) + 1, at_once):
        part = events.filter(pl.col("row").is_between(first, first + at_once - 1))
        counted = part.group_by("user_id").agg(pl.len().cast(pl.Int64).alias("rows"))
        parts.append(counted.collect(engine="streaming"))
        if len(parts) > 1:
            parts = [pl.concat(parts).group_by("user_id").agg(pl.col("rows").sum())]
    return pl.concat(parts).sort("user_id")


def _coded(events: pl.LazyFrame, users: pl.DataFrame, item_ids: list[str]) -> pl.LazyFrame:
    numbered = pl.DataFrame({"item_id": item_ids}, schema={"item_id": pl.String}).select(
        "item_id", item=pl.int_range(1, pl.len() + 1, dtype=pl.Int32)
    )
    shoppers = users.select("user_id", user=pl.int_range(pl.len(), dtype=pl.UInt32))
    return (
        events.drop("title", "category", strict=False)
        .join(shoppers.lazy(), on="user_id", how="left")
        .join(numbered.lazy(), on="item_id", how="left")
        .drop("user_id", "item_id")
    )


def _offered(items: Sequence[CatalogueItem], sold: pl.DataFrame | None) -> IntArray:
    if sold is None:
        return np.empty(0, dtype=np.int32)
    named = set(sold["item_id"])
    offered = [index for index, item in enumerate(items, start=1) if item.item_id in named]
    return np.array(offered, dtype=np.int32)


def _nothing_left(path: Path, n_rows: int, held: pl.LazyFrame) -> str:
    if not n_rows:
        return f"{path} has no row under its header: there is nothing to learn from."
    kinds = held.select(pl.col("event_type").cast(pl.String).unique().sort().head(10)).collect()
    return (
        f"No event is left of the {counted(n_rows, 'row')} of {path}: none is an act upon an item "
        f"(a view, a cart, a purchase). Its event types are {', '.join(kinds.to_series())}; say "
        "what they are by --event-type NAME=view_item."
    )


def _name(path: Path) -> str:
    name = path.name.split(".")[0].strip("*?[]")
    return name or path.parent.name or "events"


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds")
