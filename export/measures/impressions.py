"""What shoppers were shown and what they did with it, read from a file."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from endcap.arrays import IntArray
from endcap.errors import DataError
from endcap.export.data.event_times import time_column
from endcap.export.data.interactions import LongArray, SmallArray
from endcap.export.measures.accuracy import BoolArray, RealArray

NEEDED = ("user_id", "item_id", "position", "shown_at", "clicked")
THUMBS = {"up": 1, "down": -1, "1": 1, "-1": -1, "0": 0, "": 0}


class Impressions(NamedTuple):
    """Items shown [n], in L lists: what one shopper saw at one time.

    `lists` [n]: the list, 0 to L - 1, rising. `users` [L]: number of the list's shopper.
    `items` [n]: place in `item_ids`. `positions` [n]: from 1, the top. `propensities` [n]: the
    logged probability that this item stood at this place; NaN where none was logged. `thumbs` [n]:
    1 up, -1 down, 0 not given. `user_ids` [L]; `shown_ms` [L]: Unix milliseconds.
    """

    lists: LongArray
    users: LongArray
    items: IntArray
    positions: IntArray
    clicked: BoolArray
    propensities: RealArray
    thumbs: SmallArray
    item_ids: tuple[str, ...]
    user_ids: tuple[str, ...]
    shown_ms: LongArray

    @property
    def n_lists(self) -> int:
        """L."""
        return self.users.size

    def of_lists(self, chosen: BoolArray) -> "Impressions":
        """The impressions of the lists `chosen` [L] alone; lists are counted anew."""
        rows = chosen[self.lists]
        anew = np.cumsum(chosen) - 1
        return self._replace(
            lists=anew[self.lists[rows]],
            users=self.users[chosen],
            items=self.items[rows],
            positions=self.positions[rows],
            clicked=self.clicked[rows],
            propensities=self.propensities[rows],
            thumbs=self.thumbs[rows],
            user_ids=tuple(self.user_ids[place] for place in np.flatnonzero(chosen)),
            shown_ms=self.shown_ms[chosen],
        )


def read_impressions(path: Path) -> Impressions:
    """Impressions from a Parquet, CSV or JSON Lines file (`.csv.gz` too), in any order.

    Columns `user_id`, `item_id`, `position` (from 1), `shown_at` (a time, in the forms of events
    files), `clicked` (true/false or 1/0);
    optional `propensity` (above 0, to 1) and `thumb` (up, down, 1, -1, or nothing). What has one
    `user_id` and one `shown_at` is one list. A row that came twice (the same place of the same
    list) counts once, as clicked if either was.

    Raises:
        DataError: a missing column, a value of a wrong form (with its row), two items at one
            place of one list, or no row.
    """
    rows = _read(path)
    missing = [name for name in NEEDED if name not in rows.columns]
    if missing:
        raise DataError(
            f"{path} has no column {', '.join(missing)}; it has {', '.join(rows.columns)}."
            " Impressions need " + ", ".join(NEEDED)
        )
    if not rows.height:
        raise DataError(f"{path} holds no impression")
    rows = rows.select(
        _checked(rows, path, "user_id", pl.String),
        _checked(rows, path, "item_id", pl.String),
        _checked(rows, path, "position", pl.Int32),
        _times(rows, path),
        _clicks(rows, path),
        _propensities(rows, path),
        _thumbs(rows, path),
    )
    _refuse(rows, path, pl.col("position") < 1, "position", "positions count from 1, the top")
    rows = rows.group_by(["user_id", "shown_at", "position"], maintain_order=True).agg(
        pl.col("item_id").first(),
        pl.col("item_id").n_unique().alias("rivals"),
        pl.col("clicked").any(),
        pl.col("propensity").first(),
        pl.col("thumb").last(),
    )
    rivals = rows.filter(pl.col("rivals") > 1)
    if rivals.height:
        user, at, position = rivals.row(0)[:3]
        raise DataError(
            f"{path}: two items stood at place {position} of the list that {user} saw at"
            f" {at} ms; a list has one item at each place. Give each list a shown_at of its own"
        )
    return _packed(rows.sort(["user_id", "shown_at", "position"]))


def _read(path: Path) -> pl.DataFrame:
    kind = "".join(path.suffixes[-2:]).lower().removesuffix(".gz").rsplit(".", 1)[-1]
    try:
        if kind == "parquet":
            return pl.read_parquet(path)
        if kind == "csv":
            return pl.read_csv(path, infer_schema_length=None)
        if kind in {"jsonl", "ndjson"}:
            return pl.read_ndjson(path, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} cannot be read as {kind}: {error}") from error
    raise DataError(f"{path}: impressions are read from .parquet, .csv or .jsonl, not .{kind}")


def _checked(rows: pl.DataFrame, path: Path, name: str, kind: type[pl.DataType]) -> pl.Series:
    column = rows[name].cast(kind, strict=False)
    _refuse_nulls(rows, path, name, column)
    return column


def _times(rows: pl.DataFrame, path: Path) -> pl.Series:
    column = rows.lazy().select(time_column(rows.lazy(), "shown_at").milliseconds).collect()
    _refuse_nulls(rows, path, "shown_at", column.to_series())
    return column.to_series().alias("shown_at")


def _clicks(rows: pl.DataFrame, path: Path) -> pl.Series:
    words = rows["clicked"].cast(pl.String, strict=False).str.to_lowercase()
    column = words.replace_strict(
        {"true": True, "1": True, "false": False, "0": False}, default=None, return_dtype=pl.Boolean
    )
    _refuse_nulls(rows, path, "clicked", column)
    return column


def _propensities(rows: pl.DataFrame, path: Path) -> pl.Series:
    if "propensity" not in rows.columns:
        return pl.Series("propensity", [float("nan")] * rows.height, dtype=pl.Float64)
    column = rows["propensity"].cast(pl.Float64, strict=False)
    _refuse_nulls(rows, path, "propensity", column, unless_empty=True)
    return column.fill_null(float("nan"))


def _thumbs(rows: pl.DataFrame, path: Path) -> pl.Series:
    if "thumb" not in rows.columns:
        return pl.Series("thumb", [0] * rows.height, dtype=pl.Int8)
    words = rows["thumb"].cast(pl.String, strict=False).str.to_lowercase().fill_null("")
    column = words.replace_strict(THUMBS, default=None, return_dtype=pl.Int8)
    _refuse_nulls(rows, path, "thumb", column)
    return column


def _refuse_nulls(
    rows: pl.DataFrame, path: Path, name: str, column: pl.Series, unless_empty: bool = False
) -> None:
    bad = column.is_null() & rows[name].is_not_null() if unless_empty else column.is_null()
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(
            f"{path}, row {row + 1}: {name} is {rows[name][row]!r}, which is none that impressions"
            " can have; mend or leave out the row"
        )


def _refuse(rows: pl.DataFrame, path: Path, bad: pl.Expr, name: str, why: str) -> None:
    found = rows.with_row_index("row").filter(bad)
    if found.height:
        raise DataError(f"{path}, row {found['row'][0] + 1}: {name} is {found[name][0]}; {why}")


def _packed(rows: pl.DataFrame) -> Impressions:
    heads = rows.select("user_id", "shown_at").unique(maintain_order=True)
    item_ids = tuple(rows["item_id"].unique().sort())
    places = {name: place for place, name in enumerate(item_ids)}
    return Impressions(
        lists=_dense(rows.select(pl.struct("user_id", "shown_at").rle_id()).to_series()),
        users=_dense(heads["user_id"].rle_id()),
        items=np.array([places[name] for name in rows["item_id"]], dtype=np.int32),
        positions=rows["position"].to_numpy().astype(np.int32),
        clicked=rows["clicked"].to_numpy().astype(np.bool_),
        propensities=rows["propensity"].to_numpy().astype(np.float64),
        thumbs=rows["thumb"].to_numpy().astype(np.int8),
        item_ids=item_ids,
        user_ids=tuple(heads["user_id"]),
        shown_ms=_dense(heads["shown_at"]),
    )


def _dense(column: pl.Series) -> LongArray:
    return column.to_numpy().astype(np.int64)
