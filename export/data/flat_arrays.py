"""Events sorted by shopper and time as flat arrays: all at once, or bucket by bucket."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from endcap.arrays import IntArray
from endcap.export.data.interactions import Interactions, LongArray
from endcap.export.data.interactions_writer import InteractionsWriter

SESSION_GAP_MS = 30 * 60 * 1000
"""Where nothing says which visit an event belongs to, half an hour without one ends a visit."""

_WHAT_A_ROW_SAYS = ("user", "item", "type", "time_ms", "session_id", "price", "quantity")


class FlatEvents(NamedTuple):
    """The arrays, and how many rows were equal to another in all they say."""

    interactions: Interactions
    duplicates: int


def flat_in_memory(coded: pl.LazyFrame, n_users: int) -> FlatEvents:
    """All events at once. `coded`: `row`, `user` (from 0), `item`, `type`, `time_ms` and what there
    is of `session_id`, `price`, `quantity`."""
    whole = _Bucket(coded.collect(engine="streaming"), 0, n_users)
    return _flat(iter([whole]), InteractionsWriter(None))


def flat_on_disk(
    coded: pl.LazyFrame, rows_of_users: LongArray, bucket_rows: int, folder: Path
) -> FlatEvents:
    """The same arrays as memory-mapped files in `folder`, with memory for one bucket.

    1. Stream the rows into buckets of whole shoppers, about `bucket_rows` in each.
    2. Sort each bucket, leave out its duplicates, append it to the files.
    3. Remove the buckets.
    """
    bucket_of_user = (np.cumsum(rows_of_users) - 1) // bucket_rows
    firsts = pl.DataFrame({"bucket": bucket_of_user.astype(np.int32)}).with_row_index("user")
    buckets = folder / "buckets"
    shutil.rmtree(buckets, ignore_errors=True)
    coded.join(firsts.lazy(), on="user", how="left").sink_parquet(
        pl.PartitionBy(buckets, key="bucket", include_key=False), mkdir=True, engine="streaming"
    )
    flat = _flat(_read_buckets(buckets, bucket_of_user), InteractionsWriter(folder))
    shutil.rmtree(buckets)
    return flat


class _Bucket(NamedTuple):
    """All rows of the users `first` to `end` - 1, in any order."""

    rows: pl.DataFrame
    first: int
    end: int


def _read_buckets(folder: Path, bucket_of_user: LongArray) -> Iterator[_Bucket]:
    numbers, firsts = np.unique(bucket_of_user, return_index=True)
    ends = np.append(firsts[1:], bucket_of_user.size)
    for number, first, end in zip(numbers, firsts, ends, strict=True):
        yield _Bucket(pl.read_parquet(folder / f"bucket={number}"), int(first), int(end))


def _flat(buckets: Iterator[_Bucket], writer: InteractionsWriter) -> FlatEvents:
    duplicates = first_session = 0
    for bucket in buckets:
        events = _without_duplicates(bucket.rows.sort("user", "time_ms", "row"))
        duplicates += bucket.rows.height - events.height
        sessions = _visits(events) + np.int32(first_session)
        first_session = int(sessions[-1]) + 1
        counts = np.bincount(
            events["user"].to_numpy() - bucket.first, minlength=bucket.end - bucket.first
        )
        writer.append(
            Interactions(
                np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
                events["item"].to_numpy(),
                events["type"].to_numpy(),
                events["time_ms"].to_numpy(),
                sessions,
            )
        )
    return FlatEvents(writer.finish(), duplicates)


def _without_duplicates(events: pl.DataFrame) -> pl.DataFrame:
    """Only rows of one shopper and one time can be equal: those few are compared."""
    as_before = (pl.col("user") == pl.col("user").shift()) & (
        pl.col("time_ms") == pl.col("time_ms").shift()
    )
    alike = events.filter((as_before | as_before.shift(-1)).fill_null(False))
    said = [name for name in _WHAT_A_ROW_SAYS if name in events.columns]
    again = alike.filter(pl.struct(said).is_first_distinct().not_())["row"]
    return events if again.is_empty() else events.filter(~pl.col("row").is_in(again.implode()))


def _visits(events: pl.DataFrame) -> IntArray:
    """The number of each event's visit, from 0. A visit that another interrupts is two."""
    another_user = pl.col("user") != pl.col("user").shift()
    gap = pl.col("time_ms").diff() > SESSION_GAP_MS
    if "session_id" in events.columns:
        named = pl.col("session_id")
        starts = another_user | named.ne_missing(named.shift()) | (named.is_null() & gap)
    else:
        starts = another_user | gap
    # The first row has none before it: `ne_missing` calls that a start, the others say null.
    numbers = events.select(starts.fill_null(False).cum_sum().cast(pl.Int32)).to_series()
    visits: IntArray = (numbers - numbers[0]).to_numpy()
    return visits
