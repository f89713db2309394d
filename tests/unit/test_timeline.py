"""Acts arrive in any order that respects the lateness; the session is that of the right order."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.events import EventType
from endcap.sessions import Act, Session, fold_acts
from endcap.timeline import (
    MAX_TAIL,
    REMEMBERED_IDS,
    OpenTimeline,
    Outcome,
    Snapshot,
    Timeline,
    decode_snapshot,
    encode_snapshot,
)

LATENESS = 50
CODES = [
    kind.code
    for kind in (
        EventType.VIEW_ITEM,
        EventType.ADD_TO_CART,
        EventType.REMOVE_FROM_CART,
        EventType.PURCHASE,
        EventType.SEARCH,
    )
]


def digest(number: int) -> bytes:
    return number.to_bytes(8, "big")


@st.composite
def acts(draw: st.DrawFn, max_size: int = 60) -> list[Act]:
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 400),
                st.sampled_from(CODES),
                st.lists(st.sampled_from("abcde"), min_size=1, max_size=3),
            ),
            max_size=max_size,
        )
    )
    return [
        Act(1_000 + when, code, digest(number), tuple(items))
        for number, (when, code, items) in enumerate(rows)
    ]


def arrivals(rows: list[Act], rng: random.Random) -> list[Act]:
    """An order in which nobody is later than the lateness behind the newest before it."""
    waits = {act.digest: rng.uniform(0, LATENESS) for act in rows}
    return sorted(rows, key=lambda act: act.timestamp_ms + waits[act.digest])


def placed(rows: list[Act], start: Timeline | None = None) -> tuple[Timeline, list[Outcome]]:
    """In batches of seven: where a batch ends must not matter."""
    timeline = start or Timeline(Session("u"))
    outcomes: list[Outcome] = []
    for first in range(0, len(rows), 7):
        open_timeline = OpenTimeline(timeline)
        for act in rows[first : first + 7]:
            outcomes.append(open_timeline.place(act, 1 << 60, LATENESS))
        timeline = open_timeline.close(LATENESS)
        assert len(timeline.tail) <= MAX_TAIL
        assert len(timeline.remembered) <= 8 * REMEMBERED_IDS
    return timeline, outcomes


@settings(max_examples=300)
@given(acts(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(rows: list[Act], rng: random.Random) -> None:
    timeline, outcomes = placed(arrivals(rows, rng))
    assert set(outcomes) <= {Outcome.FOLDED}
    assert timeline.session() == fold_acts(Session("u"), sorted(rows))


@settings(max_examples=300)
@given(acts(), st.randoms(use_true_random=False), st.data())
def test_repeats_and_crashes_do_not_matter(
    rows: list[Act], rng: random.Random, data: st.DataObject
) -> None:
    arrived = arrivals(rows, rng)
    repeated: list[Act] = []
    for act in arrived:
        repeated.append(act)
        repeated += data.draw(st.lists(st.sampled_from(repeated[-20:]), max_size=1))
    cut = data.draw(st.integers(0, len(repeated)))
    before, first = placed(repeated[:cut])
    restored = decode_snapshot(encode_snapshot(Snapshot(before, 0, cut, 7))).timeline
    assert restored == before
    after, second = placed(repeated[cut:], restored)
    assert after.session() == fold_acts(Session("u"), sorted(rows))
    assert (first + second).count(Outcome.FOLDED) == len(rows)


def test_too_late_is_refused_and_changes_nothing() -> None:
    timeline, _ = placed([Act(1_000, CODES[0], digest(1), ("a",))])
    edge = Act(1_000 - LATENESS, CODES[0], digest(2), ("b",))
    late = Act(1_000 - LATENESS - 1, CODES[0], digest(3), ("c",))
    after, outcomes = placed([late, edge, late], timeline)
    assert outcomes == [Outcome.LATE, Outcome.FOLDED, Outcome.LATE]
    assert [past.item_id for past in after.session().history] == ["b", "a"]


def test_a_clock_that_runs_ahead_does_not_make_others_late() -> None:
    timeline = OpenTimeline(Timeline(Session("u")))
    timeline.place(Act(10_000, CODES[0], digest(1), ("a",)), 1_000, LATENESS)
    honest = Act(1_001, CODES[0], digest(2), ("b",))
    assert timeline.place(honest, 1_001, LATENESS) is Outcome.FOLDED
    session = timeline.close(LATENESS).session()
    assert [past.item_id for past in session.history] == ["b", "a"]


def test_a_storm_within_the_lateness_is_sealed_early_and_never_doubled() -> None:
    rows = [Act(1_000, CODES[0], digest(n), (f"i{n}",)) for n in range(3 * MAX_TAIL)]
    timeline, _ = placed(rows)
    again, outcomes = placed(rows, timeline)
    assert Outcome.FOLDED not in outcomes
    assert again == timeline
    assert timeline.session() == fold_acts(Session("u"), rows)


def test_the_cart_comes_before_the_purchase_of_the_same_second() -> None:
    add = Act(1_000, EventType.ADD_TO_CART.code, digest(9), ("a",))
    buy = Act(1_000, EventType.PURCHASE.code, digest(1), ("a",))
    timeline, _ = placed([buy, add])
    assert timeline.session().cart == ()
