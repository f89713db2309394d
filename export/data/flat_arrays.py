"""Events sorted by shopper and time as flat arrays: in memory, or bucket by bucket on disk."""

import shutil
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from endcap.export.data.interactions import Interactions

SESSION_GAP_MS = 30 * 60 * 1000
"""Where nothing says which visit an event belongs to, half an hour without one ends a visit."""

_WHAT_MAKES_A_ROW = ("user", "item", "type", "time_ms", "session_id", "price", "quantity")
_DTYPES = {"items": "<i4", "types": "|i1", "times_ms": "<i8", "sessions": "<i4"}


class FlatEvents(NamedTuple):
    """The arrays, and how many rows were equal to another in all they say."""

    interactions: Interactions
    duplicates: int


def flat_in_memory(coded: pl.LazyFrame, n_users: int) -> FlatEvents:
    """All events at once. `coded`: `row`, `user` (from 0), `item`, `type`, `time_ms` and what there
    is of `session_id`, `price`, `quantity`."""
    events = coded.collect(engine="streaming")
    bucket = _sorted(events)
    columns = _columns(bucket, 0)
    counts = np.bincount(bucket["user"].to_numpy(), minlength=n_users)
    return FlatEvents(Interactions(_offsets(counts), **columns), events.height - bucket.height)


def flat_on_disk(
    coded: pl.LazyFrame, rows_of_users: npt.NDArray[np.int64], bucket_rows: int, folder: Path
) -> FlatEvents:
    """The same arrays as memory-mapped `.npy` files in `folder`, with memory for one bucket.

    1. Stream the rows into buckets of whole shoppers, about `bucket_rows` in each.
    2. Sort each bucket, leave out its duplicates, append its columns to the files.
    3. Remove the buckets; map the files.
    """
    bucket_of_user = pl.Series((np.cumsum(rows_of_users) - 1) // bucket_rows, dtype=pl.Int32)
    firsts = pl.DataFrame({"bucket": bucket_of_user}).with_row_index("user")
    buckets = folder / "buckets"
    shutil.rmtree(buckets, ignore_errors=True)
    coded.join(firsts.lazy(), on="user", how="left").sink_parquet(
        pl.PartitionBy(buckets, key="bucket", include_key=False), mkdir=True, engine="streaming"
    )
    counts = np.zeros(rows_of_users.size, np.int64)
    duplicates = sessions = 0
    files = {name: _GrowingArray(folder / f"{name}.npy", kind) for name, kind in _DTYPES.items()}
    for number in bucket_of_user.unique(maintain_order=True):
        events = pl.read_parquet(buckets / f"bucket={number}")
        bucket = _sorted(events)
        duplicates += events.height - bucket.height
        columns = _columns(bucket, sessions)
        sessions = int(columns["sessions"][-1]) + 1
        counts += np.bincount(bucket["user"].to_numpy(), minlength=counts.size)
        for name, file in files.items():
            file.append(columns[name])
    shutil.rmtree(buckets)
    columns = {name: file.mapped() for name, file in files.items()}
    return FlatEvents(Interactions(_offsets(counts), **columns), duplicates)


def _sorted(events: pl.DataFrame) -> pl.DataFrame:
    said = [name for name in _WHAT_MAKES_A_ROW if name in events.columns]
    return events.sort("user", "time_ms", "row").unique(said, keep="first", maintain_order=True)


def _columns(bucket: pl.DataFrame, first_session: int) -> dict[str, npt.NDArray[Any]]:
    another_user = pl.col("user") != pl.col("user").shift()
    gap = pl.col("time_ms").diff() > SESSION_GAP_MS
    if "session_id" in bucket.columns:
        named = pl.col("session_id")
        starts = another_user | named.ne_missing(named.shift()) | (named.is_null() & gap)
    else:
        starts = another_user | gap
    sessions = bucket.select(starts.fill_null(False).cum_sum().cast(pl.Int32)).to_series()
    return {
        "items": bucket["item"].to_numpy(),
        "types": bucket["type"].to_numpy(),
        "times_ms": bucket["time_ms"].to_numpy(),
        "sessions": sessions.to_numpy() + np.int32(first_session),
    }


def _offsets(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


class _GrowingArray:
    """A `.npy` file whose length is known when all is written; its header has room for it."""

    def __init__(self, path: Path, dtype: str) -> None:
        self._path = path
        self._dtype = np.dtype(dtype)
        self._size = 0
        with path.open("wb") as file:
            self._write_header(file)

    def append(self, values: npt.NDArray[Any]) -> None:
        with self._path.open("ab") as file:
            values.astype(self._dtype, copy=False).tofile(file)
        self._size += values.size

    def mapped(self) -> npt.NDArray[Any]:
        with self._path.open("r+b") as file:
            self._write_header(file)
        mapped: npt.NDArray[Any] = np.load(self._path, mmap_mode="r")
        return mapped

    def _write_header(self, file: BinaryIO) -> None:
        form = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._size,),
        }
        np.lib.format.write_array_header_1_0(file, form)
