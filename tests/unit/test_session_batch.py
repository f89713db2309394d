"""A batch accounts for each of its records, and where it is cut changes nothing."""

from collections import Counter
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from endcap.events import Event, EventItem, EventType, encode_event
from endcap.sessions import fold_all
from endcap.streams import native
from endcap.streams.folded_batch import Partition
from endcap.streams.item_deltas import decode_deltas
from endcap.streams.session_batch import fold_batch
from endcap.timeline import decode_snapshot

START_MS = 1_700_000_000_000
NOW_MS = START_MS + 2_000_000
both_paths = pytest.mark.parametrize(
    "natively",
    [
        False,
        pytest.param(
            True, marks=pytest.mark.skipif(not native.IS_BUILT, reason="it is not built here")
        ),
    ],
)


class Record(NamedTuple):
    value: bytes | None
    offset: int
    timestamp: int = NOW_MS
    timestamp_type: int = 1
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def event(number: int, user: str, when: int) -> Event:
    return Event(
        event_id=f"e{number}",
        user_id=user,
        event_name=EventType.VIEW_ITEM,
        timestamp_ms=START_MS + when,
        items=(EventItem(f"i{number}"),),
    )


@st.composite
def streams(draw: st.DrawFn) -> list[Event | None]:
    """Events of three shoppers within the lateness, repeats, and rubbish (None)."""
    rows: list[Event | None] = []
    for number in range(draw(st.integers(0, 40))):
        rows.append(event(number, draw(st.sampled_from("abc")), draw(st.integers(1, 60_000))))
        rows += draw(st.lists(st.sampled_from([*rows, None]), max_size=2))
    return rows


@both_paths
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=streams(), size=st.integers(1, 10), crashes=st.lists(st.booleans(), max_size=40))
def test_every_record_is_accounted_for_wherever_batches_end(
    natively: bool, rows: list[Event | None], size: int, crashes: list[bool]
) -> None:
    records = [
        Record(b"rubbish" if row is None else encode_event(row), offset)
        for offset, row in enumerate(rows)
    ]
    held: dict[str, bytes] = {}
    sums: Counter[str] = Counter()
    at = 0
    while at < len(records):
        batch = fold_batch(
            records[at : at + size], Partition(0), held.get, NOW_MS, natively=natively
        )
        if not (crashes and crashes.pop()):  # else before the commit: it is read again
            held.update(batch.snapshots)
            sums += batch.outcomes
            at += size
    real = [row for row in rows if row is not None]
    assert sums.total() == len(rows)
    assert sums["dead_letter"] == len(rows) - len(real)
    assert sums["folded"] == len({row.event_id for row in real})
    assert {user: decode_snapshot(raw).session for user, raw in held.items()} == fold_all(real)


@both_paths
def test_records_that_a_snapshot_holds_already_are_skipped(natively: bool) -> None:
    records = [Record(encode_event(event(n, "a", 1_000 + n)), n) for n in range(10)]
    first = fold_batch(records[:6], Partition(0), {}.get, NOW_MS, natively=natively)
    again = fold_batch(records, Partition(0), first.snapshots.get, NOW_MS, natively=natively)
    assert again.outcomes["already_folded"] == 6
    assert again.outcomes["folded"] == 4
    assert [delta.source_offset for raw in again.deltas for delta in decode_deltas(raw)] == [
        6,
        7,
        8,
        9,
    ]


@both_paths
def test_a_producers_stamp_in_the_future_counts_as_now(natively: bool) -> None:
    ahead = Record(
        encode_event(event(1, "a", 5_000_000)), 0, START_MS + 9_000_000, timestamp_type=0
    )
    batch = fold_batch([ahead], Partition(0), {}.get, NOW_MS, natively=natively)
    assert [letter.error.reason for letter in batch.dead_letters] == ["future"]


@both_paths
def test_a_delta_names_the_store_where_the_event_does(natively: bool) -> None:
    here, nowhere = msgspec.structs.replace(event(1, "a", 1), store_id="north"), event(2, "a", 2)
    records = [Record(encode_event(each), n) for n, each in enumerate((here, nowhere))]
    batch = fold_batch(records, Partition(0), {}.get, NOW_MS, natively=natively)
    stores = [delta.store_id for raw in batch.deltas for delta in decode_deltas(raw)]
    assert stores == ["north", ""]
