"""The compiled path and the fold in Python give the same bytes, whatever comes."""

import json
import random
from itertools import cycle
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from endcap.erasure import Registry, Request, encode_erasure
from endcap.events import EventType
from endcap.identity import encode_parcel
from endcap.streams import native
from endcap.streams.folded_batch import FoldedBatch, Partition
from endcap.streams.item_deltas import decode_deltas
from endcap.streams.session_batch import BatchFold, fold_batch
from endcap.timeline import Snapshot, decode_snapshot
from endcap.wrong_fields import EARLIEST_MS

pytestmark = pytest.mark.skipif(not native.IS_BUILT, reason="the compiled path is not built here")

NOW_MS = EARLIEST_MS + 10_000_000
LATENESS_MS = 60_000
PARTITION = Partition(0, 2)
USERS = ("ann", "ben", "phone", "x" * 31, "y" * 32, "z" * 256, "jörg", 'quo"te', "tab\tbed")
ITEMS = ("milk", "a" * 31, "b" * 32, "c" * 255, "d" * 256, "Käse", "back\\slash", "")
ODD = (None, True, 0, -1, 1.0, 1e3, 2**31, 2**63, 2**64, 10**30, "", "1", [], {}, [{}], "é", "\0")


class Record(NamedTuple):
    value: Any
    offset: int
    key: bytes | None = None
    timestamp: int = NOW_MS
    timestamp_type: int = 1
    headers: tuple[tuple[str, bytes], ...] = ()


times = st.one_of(
    st.integers(NOW_MS - 100_000, NOW_MS),
    st.integers(EARLIEST_MS, EARLIEST_MS + 20),
    st.sampled_from(
        (1, EARLIEST_MS - 1, 2**40 - 1, 2**40, NOW_MS + 300_000, NOW_MS + 300_001, 2**62)
    ),
)
items = st.fixed_dictionaries(
    {"item_id": st.sampled_from(ITEMS)},
    optional={
        "price": st.sampled_from((None, 0, 9.9, 1e-7, 1e300, 12345678901234567890, -0.0, -1)),
        "quantity": st.sampled_from((1, 7, 10**17, 10**18, 0, None)),
    },
)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly what a shop sends; each field may be missing or odd, and unknown ones may be there."""
    row: dict[str, Any] = {
        "event_id": f"e{draw(st.integers(0, 60))}",
        "user_id": draw(st.sampled_from(USERS[: draw(st.sampled_from((1, 3, len(USERS))))])),
        "event_name": draw(st.sampled_from([kind.value for kind in EventType])),
        "timestamp_ms": draw(times),
        "items": draw(st.lists(items, max_size=3)) or [{"item_id": "milk"}],
        "transaction_id": draw(st.sampled_from(("t1", None, ""))),
        "anonymous_id": draw(st.sampled_from((None, "phone", "ann"))),
    }
    consent = draw(st.sampled_from(("", "", "", "granted", "granted", "null", "denied")))
    if consent:
        row["consent"] = None if consent == "null" else consent
    if draw(st.integers(0, 5)) == 0:
        field = draw(st.sampled_from((*row, "search_term", "currency", "store_id")))
        row[field] = draw(st.sampled_from(ODD))
        if draw(st.booleans()):
            row.pop(draw(st.sampled_from(list(row))))
    return row


@st.composite
def values(draw: st.DrawFn) -> bytes | None:
    """JSON as clients write it, and broken."""
    row = draw(rows())
    order = draw(st.permutations(list(row))) if draw(st.booleans()) else list(row)
    raw = json.dumps(
        {name: row[name] for name in order},
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from(((",", ":"), (", ", ": ")))),
        indent=draw(st.sampled_from((None, None, 1))),
    ).encode()
    match draw(st.integers(0, 30)):
        case 0:
            return None
        case 1:
            return raw[: draw(st.integers(0, len(raw)))]
        case 2:
            at = draw(st.integers(0, len(raw) - 1))
            return raw[:at] + bytes([draw(st.integers(0, 255))]) + raw[at + 1 :]
        case 3:  # a field twice
            return raw[:-1].rstrip() + b"," + raw[1:]
        case 4:
            return raw + draw(st.sampled_from((b" \r\n\t", b"\0", b"{}", b"x")))
    return raw


@st.composite
def records(draw: st.DrawFn) -> list[Record]:
    """With gaps in the offsets, headers, and clocks of producers."""
    found = []
    offset = draw(st.sampled_from((0, 120, 250, 65_530, 2**32 - 5)))
    for value in draw(st.lists(values(), max_size=50)):
        found.append(
            Record(
                value,
                offset,
                timestamp=draw(st.sampled_from((NOW_MS, NOW_MS - 5, NOW_MS + 10**6, -1))),
                timestamp_type=draw(st.sampled_from((0, 1, 1))),
                headers=draw(st.sampled_from(((), (), (), (("ce_id", b"1"),)))),
            )
        )
        offset += draw(st.sampled_from((1, 1, 1, 300)))
    return found


def told(batch: FoldedBatch) -> object:
    """Everything but which path it took."""
    return batch._replace(
        dead_letters=[(row.record, row.error.reason, str(row.error)) for row in batch.dead_letters],
        native=0,
    )


class Both:
    """Two partitions side by side: what one of them is told, the other is."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.registry = Registry()
        self.native = 0

    def fold(
        self,
        found: list[Record],
        erasures: list[Record] = [],  # noqa: B006 - nobody changes it
        parcels: list[Record] = [],  # noqa: B006
        idle: tuple[str, ...] = (),
    ) -> FoldedBatch:
        batches = [
            self._fold(natively, found, erasures, parcels, idle) for natively in (False, True)
        ]
        python, compiled = batches
        assert told(compiled) == told(python)
        self.native += compiled.native
        return compiled

    def commit(self, batch: FoldedBatch) -> None:
        for user, raw in batch.snapshots.items():
            if raw is None:
                self.held.pop(user, None)
            else:
                self.held[user] = raw
        for entry in batch.erased:
            self.registry.add(entry)

    def _fold(
        self,
        natively: bool,
        found: list[Record],
        erasures: list[Record],
        parcels: list[Record],
        idle: tuple[str, ...],
    ) -> FoldedBatch:
        fold = BatchFold(
            PARTITION, self.held.get, NOW_MS, LATENESS_MS, self.registry, natively=natively
        )
        fold.erase(erasures)
        fold.open(parcels)
        fold.fold(found)
        fold.expire(idle)
        return fold.result()


def erasure(user: str, at_ms: int) -> Record:
    key, value = encode_erasure(Request("r", user))
    return Record(value, 0, key, timestamp=at_ms)


class Step(NamedTuple):
    """What befalls one batch."""

    size: int
    erased: str | None = None
    all_idle: bool = False
    is_committed: bool = True


steps = st.builds(
    Step,
    st.integers(1, 50),
    st.sampled_from((None,) * 8 + ("ann", "phone")),
    st.sampled_from((False, False, True)),
    st.sampled_from((True, True, True, False)),
)


# One list of steps: a draw in each turn of the loop costs Hypothesis more than both folds.
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records(), st.lists(steps, max_size=12))
def test_both_paths_give_the_same_bytes_wherever_batches_end(
    found: list[Record], drawn: list[Step]
) -> None:
    both, at, parcel_offset = Both(), 0, 0
    waiting: list[Record] = []
    for step in cycle([*drawn, Step(50)]):
        erasures = [erasure(step.erased, NOW_MS - 50_000)] if step.erased else []
        idle = tuple(both.held) if step.all_idle else ()
        batch = both.fold(found[at : at + step.size], erasures, waiting, idle)
        if step.is_committed:  # else a crash: it is read again
            both.commit(batch)
            at += step.size
            waiting = [
                Record(encode_parcel(parcel), parcel_offset + number)
                for number, parcel in enumerate(batch.parcels)
            ]
            parcel_offset += len(waiting)
        if at >= len(found):
            break


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 32))
def test_both_paths_give_the_same_bytes_over_a_long_time(seed: int) -> None:
    rng = random.Random(seed)
    both, offset, clock = Both(), 0, EARLIEST_MS
    for _ in range(30):
        found = []
        for _ in range(rng.choice((1, 5, 60))):
            clock += rng.choice((0, 10, 1_000, 20_000))
            when = max(EARLIEST_MS, clock - rng.choice((0, 0, 0, 5_000, 70_000)))
            value = plain(
                event_id=f"e{max(0, offset - rng.choice((0, 0, 0, 1, 40, 90)))}",
                user_id=f"u{int(rng.paretovariate(0.7)) % 20}",
                event_name=rng.choice(("view_item", "add_to_cart", "purchase", "view_cart")),
                timestamp_ms=when,
                items=[{"item_id": f"i{rng.randrange(50)}"} for _ in range(rng.choice((1, 1, 17)))],
                transaction_id="t",
            )
            found.append(Record(value, offset, timestamp=clock))
            offset += 1
        batch = both.fold(found)
        if rng.random() < 0.9:
            both.commit(batch)
    assert both.native > 0


def plain(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def view(number: int, user: str = "ann", **fields: Any) -> Record:
    row = {
        "event_id": f"e{number}",
        "user_id": user,
        "event_name": "view_item",
        "timestamp_ms": NOW_MS - 50_000 + number,
        "items": [{"item_id": "milk", "price": 1.5, "quantity": 2}],
    }
    return Record(plain(**row | fields), number)


@pytest.mark.parametrize(
    "odd",
    [
        {"currency": "EUR"},
        {"search_term": "Käse"},
        {"event_name": "identify", "anonymous_id": "ann"},
        {"items": [{"item_id": "milk", "price": 1e300}]},
        {"items": [{"item_id": "milk", "quantity": 10**18}]},
    ],
)
def test_an_event_that_is_not_plain_takes_its_shopper_to_python_and_nobody_else(
    odd: dict[str, Any],
) -> None:
    batch = Both().fold([view(0), view(1, "ben"), view(2, **odd), view(3, "ben")])
    assert batch.native == 2
    assert batch.outcomes["folded"] == 4


def test_a_word_on_consent_keeps_an_event_compiled_unless_it_denies() -> None:
    batch = Both().fold(
        [view(0, consent="granted"), view(1, "ben", consent="denied"), view(2, "cy", consent=None)]
    )
    assert (batch.native, batch.outcomes["consent_denied"]) == (2, 1)
    assert "ben" not in batch.snapshots


def test_a_refused_event_takes_nobody_along() -> None:
    batch = Both().fold([view(0), view(1, timestamp_ms=0), view(2)])
    assert (batch.native, batch.outcomes["dead_letter"]) == (2, 1)


def test_deltas_of_both_paths_are_in_the_order_of_offsets_and_cut_alike() -> None:
    lines = [{"item_id": f"i{at}"} for at in range(450)]
    batch = Both().fold(
        [view(at, f"u{at % 5}", items=lines, **{"x": 1} if at % 5 == 0 else {}) for at in range(15)]
    )
    assert batch.native == 12
    written = [decode_deltas(raw) for raw in batch.deltas]
    assert [len(deltas) for deltas in written] == [4, 4, 4, 3]
    assert [row.source_offset for deltas in written for row in deltas] == list(range(15))


def test_a_tail_long_enough_to_be_sealed_is_pythons() -> None:
    both = Both()
    batch = both.fold([view(at) for at in range(16)])
    assert batch.native == 16
    both.commit(batch)
    assert both.fold([view(16)]).native == 0


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 300), st.integers(0, 255), st.booleans())
@example(0, 0x95, False)
def test_both_paths_go_on_alike_from_a_damaged_snapshot_that_can_be_read(
    at: int, byte: int, is_cut: bool
) -> None:
    both = Both()
    both.commit(both.fold([view(n) for n in range(3)]))
    raw = both.held["ann"]
    at %= len(raw)
    damaged = raw[:at] if is_cut else raw[:at] + bytes([byte]) + raw[at + 1 :]

    def folded(natively: bool) -> Snapshot:
        batch = fold_batch([view(9)], PARTITION, {"ann": damaged}.get, NOW_MS, natively=natively)
        return decode_snapshot(batch.snapshots.get("ann", damaged))

    try:
        expected = folded(natively=False)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        assume(False)
    assert folded(natively=True) == expected
