"""Logins move what a device did to its person: once, whatever the order and the crashes."""

import random
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.events import Event, EventItem, EventType, encode_event, home_of
from endcap.identity import Handover, Parcel, decode_parcel, encode_parcel, recipient
from endcap.sessions import Act, Session, act_of, fold_acts, fold_all, merge_sessions
from endcap.streams import native
from endcap.streams.folded_batch import Partition
from endcap.streams.session_batch import BatchFold
from endcap.timeline import OpenTimeline, Outcome, Timeline, decode_snapshot

START_MS = 1_700_000_000_000
NOW_MS = START_MS + 2_000_000
LATENESS_MS = 100
COUNT = 3
PEOPLE = ("ann", "ben")
DEVICES = ("phone", "desk")
KINDS = (EventType.VIEW_ITEM, EventType.ADD_TO_CART, EventType.PURCHASE)


class Record(NamedTuple):
    value: bytes | None
    offset: int
    key: bytes | None = None
    timestamp: int = NOW_MS
    timestamp_type: int = 1
    headers: tuple[tuple[str, bytes | None], ...] = ()


def event(number: int, user: str, when: int, kind: EventType, device: str | None = None) -> Event:
    return Event(
        event_id=f"e{number}",
        user_id=user,
        event_name=kind,
        timestamp_ms=when,
        items=() if device else (EventItem(f"{user}-{number % 7}"),),
        transaction_id="t",
        anonymous_id=device,
    )


@st.composite
def visits(draw: st.DrawFn) -> list[Event]:
    """Two devices and two people who log in on them, in event-time order; no two at one time."""
    rows: list[Event] = []
    when = START_MS
    for number in range(draw(st.integers(1, 90))):
        when += draw(st.integers(1, 60))
        device = draw(st.sampled_from(DEVICES))
        if draw(st.integers(0, 4)) == 0:
            user = draw(st.sampled_from(PEOPLE))
            rows.append(event(number, user, when, EventType.IDENTIFY, device))
        else:
            who = draw(st.sampled_from((device, *PEOPLE)))
            rows.append(event(number, who, when, draw(st.sampled_from(KINDS))))
    return rows


def attributed(rows: list[Event]) -> dict[str, Session]:
    """The plain result: each act is that of the next person to log in on its device."""
    of_user: dict[str, list[Event]] = {}
    for at, row in enumerate(rows):
        device = row.anonymous_id or row.user_id
        logins = [
            later.user_id
            for later in rows[at:]
            if later.event_name is EventType.IDENTIFY and later.anonymous_id == device
        ]
        of_user.setdefault(logins[0] if logins else row.user_id, []).append(row)
    return {
        user: fold_acts(Session(user), sorted(map(act_of, acts))) for user, acts in of_user.items()
    }


def arrivals(rows: list[Event], rng: random.Random) -> list[Event]:
    """Within the lateness; logins of one device stay in their order."""
    waits = {row.event_id: rng.uniform(0, LATENESS_MS) for row in rows}
    last: Counter[str] = Counter()
    for row in rows:
        if row.event_name is EventType.IDENTIFY and row.anonymous_id:
            at = max(row.timestamp_ms + waits[row.event_id], last[row.anonymous_id])
            at = min(at, row.timestamp_ms + LATENESS_MS)
            waits[row.event_id] = at - row.timestamp_ms
            last[row.anonymous_id] = int(at) + 1
    return sorted(rows, key=lambda row: row.timestamp_ms + waits[row.event_id])


class Cluster:
    """Partitions with their logs of events and parcels; a batch counts whole or not at all."""

    def __init__(self, arrived: list[Event], home: Callable[[Event], str] = home_of) -> None:
        self.partitions = [Partition(number, COUNT) for number in range(COUNT)]
        self.held: dict[str, bytes] = {}
        self.outcomes: Counter[str] = Counter()
        self.opened: Counter[str] = Counter()
        self.events: list[deque[Record]] = [deque() for _ in range(COUNT)]
        self.parcels: list[deque[Record]] = [deque() for _ in range(COUNT)]
        self._sent = 0
        for offset, row in enumerate(arrived):
            number = self.partitions[0].of(home(row))
            self.events[number].append(Record(encode_event(row), offset))

    def batch(self, number: int, size: int, commits: bool) -> None:
        events = list(self.events[number])[:size]
        parcels = list(self.parcels[number])[:size]
        fold = BatchFold(
            self.partitions[number],
            self.held.get,
            NOW_MS,
            LATENESS_MS,
            natively=native.IS_BUILT and number % 2 == 0,
        )
        fold.open(parcels)
        fold.fold(events)
        result = fold.result()
        if not commits:
            return
        for user, snapshot in result.snapshots.items():
            assert snapshot is not None
            self.held[user] = snapshot
        for parcel in result.parcels:
            self.send(parcel)
        self.outcomes += result.outcomes
        self.opened += result.opened
        for taken, queue in ((events, self.events[number]), (parcels, self.parcels[number])):
            for _ in taken:
                queue.popleft()

    def send(self, parcel: Parcel) -> None:
        raw = encode_parcel(parcel)
        assert decode_parcel(raw) == parcel
        self.parcels[self.partitions[0].of(recipient(parcel))].append(Record(raw, self._sent))
        self._sent += 1

    @property
    def is_done(self) -> bool:
        return not any(self.events) and not any(self.parcels)


def told(session: Session) -> object:
    """What does not depend on rounding."""
    return (
        session.interactions,
        session.carted,
        [(p.item_id, p.times, p.first_ms, p.last_ms) for p in session.purchased],
    )


def run(cluster: Cluster, rng: random.Random) -> None:
    """To the end, partition by partition in any order; three batches in ten crash."""
    while not cluster.is_done:
        cluster.batch(rng.randrange(COUNT), rng.randint(1, 12), rng.random() < 0.7)


def with_repeats(rows: list[Event], rng: random.Random) -> list[Event]:
    """Some events again, a little later."""
    repeated = list(rows)
    for row in rng.sample(rows, len(rows) // 5):
        at = repeated.index(row)
        repeated.insert(rng.randint(at + 1, min(at + 10, len(repeated))), row)
    return repeated


@settings(max_examples=150)
@given(visits(), st.integers(0, 1 << 32))
def test_each_act_ends_with_who_logged_in_next(rows: list[Event], seed: int) -> None:
    rng = random.Random(seed)
    arrived = with_repeats(arrivals(rows, rng), rng)
    cluster = Cluster(arrived)
    run(cluster, rng)
    sums = cluster.outcomes
    assert sums.total() == len(arrived)
    assert sums["folded"] == len(rows)
    assert sums["duplicate"] == len(arrived) - len(rows)
    expected = attributed(rows)
    assert fold_all(arrived) == expected
    for user in (*PEOPLE, *DEVICES):
        found = (
            decode_snapshot(cluster.held[user]).session if user in cluster.held else Session(user)
        )
        assert told(found) == told(expected.get(user, Session(user))), user


@settings(max_examples=80)
@given(visits(), st.integers(0, 1 << 32))
def test_a_login_keyed_by_its_user_finds_its_device(rows: list[Event], seed: int) -> None:
    """As GA4's tags send it. One person a device: two in different partitions have no order."""
    own = dict(zip(DEVICES, PEOPLE, strict=True))
    rows = [
        msgspec.structs.replace(row, user_id=own[row.anonymous_id]) if row.anonymous_id else row
        for row in rows
    ]
    rng = random.Random(seed)
    cluster = Cluster(arrivals(rows, rng), home=lambda row: row.user_id)
    run(cluster, rng)
    sums = cluster.outcomes
    assert sums.total() == len(rows)
    logins = sum(row.anonymous_id is not None for row in rows)
    assert cluster.opened["identified"] + cluster.opened["dead_letter"] == sums["forwarded"]
    assert sums["folded"] + sums["forwarded"] == len(rows)
    assert sums["forwarded"] <= logins


def test_what_lay_in_one_cart_and_was_bought_elsewhere_is_one_intention() -> None:
    rows = ((5, EventType.ADD_TO_CART, "x"), (6, EventType.ADD_TO_CART, "y"))
    carted = fold_acts(Session("a"), [Act(at, kind.code, b"", (item,)) for at, kind, item in rows])
    bought = fold_acts(Session("a"), [Act(9, EventType.PURCHASE.code, b"", ("x",))])
    both = merge_sessions(carted, bought)
    assert both.cart == ("y",)
    assert [(p.item_id, p.timestamp_ms) for p in both.history] == [("y", 6), ("x", 9)]
    assert both.events_folded == 3
    assert merge_sessions(bought, carted) == both


def test_a_long_visit_that_is_taken_in_makes_none_of_the_persons_own_acts_late() -> None:
    """The device's partition may be hours ahead of the person's."""
    view = EventType.VIEW_ITEM.code
    visit = tuple(Act(5_000 + at, view, at.to_bytes(8, "big"), ("x",)) for at in range(500))
    timeline = OpenTimeline(Timeline(Session("ann")))
    assert timeline.adopt(Handover("ann", "phone", Session("ann"), visit, 9_000)) == 500
    own = Act(1_000, view, b"own-id--", ("y",))
    assert timeline.place(own, 9_000, LATENESS_MS) is Outcome.FOLDED
    assert timeline.close().session().events_folded == 501


def test_one_item_bought_on_two_devices_is_counted_twice() -> None:
    week_ms = 7 * 86_400_000
    acts = [Act(n * week_ms, EventType.PURCHASE.code, b"", ("milk",)) for n in (1, 2, 3)]
    apart = [fold_acts(Session("a"), part) for part in (acts[:1] + acts[2:], acts[1:2])]
    (merged,) = merge_sessions(*apart).purchased
    (plain,) = fold_acts(Session("a"), acts).purchased
    assert (merged.times, merged.first_ms, merged.last_ms) == (3, week_ms, 3 * week_ms)
    assert merged.decayed == pytest.approx(plain.decayed)
