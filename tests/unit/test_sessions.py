"""The fold: indifferent to duplicates and replays, and bounded."""

import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from endcap.events import Event, EventItem, EventType
from endcap.sessions import (
    MAX_CARTED,
    MAX_INTERACTIONS,
    MAX_PURCHASED_ITEMS,
    Act,
    Session,
    fold,
    fold_acts,
    fold_all,
    merge_sessions,
)

PURCHASE = EventType.PURCHASE.code

_KINDS = [
    EventType.VIEW_ITEM,
    EventType.ADD_TO_CART,
    EventType.REMOVE_FROM_CART,
    EventType.PURCHASE,
    EventType.SEARCH,
]
_items = st.lists(st.sampled_from("abcdefgh").map(EventItem), min_size=1, max_size=4)


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    """Up to forty events of three users, each with its own id."""
    size = draw(st.integers(1, 40))
    return [
        Event(
            event_id=f"e{number}",
            user_id=draw(st.sampled_from(["u", "v", "w"])),
            event_name=draw(st.sampled_from(_KINDS)),
            timestamp_ms=1_000 + number,
            transaction_id=f"t{number}",
            items=tuple(draw(_items)),
        )
        for number in range(size)
    ]


@given(streams(), st.data())
def test_a_duplicate_event_id_changes_nothing(events: list[Event], data: st.DataObject) -> None:
    repeated: list[Event] = []
    for event in events:
        repeated.append(event)
        repeated += data.draw(st.lists(st.sampled_from(repeated), max_size=2))
    assert fold_all(repeated) == fold_all(events)


@given(streams())
def test_replaying_the_whole_stream_changes_nothing(events: list[Event]) -> None:
    assert fold_all(events + events) == fold_all(events)


def test_every_collection_is_bounded() -> None:
    session = Session("u")
    for number in range(400):
        session = fold(session, Act(number + 1, PURCHASE, b"", (f"i{number}", f"j{number}")))
    assert len(session.interactions) == MAX_INTERACTIONS
    assert len(session.purchased) == MAX_PURCHASED_ITEMS
    assert session.purchased[-1].item_id == "j399"
    assert session.events_folded == 400


def test_a_purchase_empties_the_cart_of_what_was_bought() -> None:
    def event(number: int, kind: EventType, *items: str) -> Event:
        return Event(
            event_id=f"e{number}",
            user_id="u",
            event_name=kind,
            timestamp_ms=number,
            transaction_id="t",
            items=tuple(map(EventItem, items)),
        )

    session = fold_all(
        [
            event(1, EventType.ADD_TO_CART, "milk"),
            event(2, EventType.ADD_TO_CART, "eggs"),
            event(3, EventType.PURCHASE, "milk"),
        ]
    )["u"]
    assert session.cart == ("eggs",)
    (milk,) = session.purchased
    assert (milk.item_id, milk.times) == ("milk", 1)
    assert [past.item_id for past in session.history] == ["eggs", "milk"]


_CODES = [kind.code for kind in _KINDS]
_rows = st.lists(
    st.tuples(st.sampled_from(_CODES), st.lists(st.integers(0, 80), min_size=1, max_size=3)),
    max_size=250,
)


def _acts(rows: list[tuple[int, list[int]]]) -> list[Act]:
    return [
        Act(1_000 + at, code, at.to_bytes(8, "big"), tuple({f"i{item}": None for item in items}))
        for at, (code, items) in enumerate(rows)
    ]


def _told(session: Session) -> Session:
    """Without the last digits of sums that were made in another order."""
    purchased = [msgspec.structs.replace(p, decayed=round(p.decayed, 6)) for p in session.purchased]
    return msgspec.structs.replace(session, purchased=tuple(purchased))


@given(_rows, st.randoms(use_true_random=False))
def test_the_order_of_folding_does_not_matter(
    rows: list[tuple[int, list[int]]], rng: random.Random
) -> None:
    acts = _acts(rows)
    shuffled = rng.sample(acts, len(acts))
    session = Session("u")
    while shuffled:
        cut = rng.randint(1, 40)
        session = fold_acts(session, shuffled[:cut])
        assert len(session.interactions) <= MAX_INTERACTIONS
        assert len(session.carted) <= MAX_CARTED
        del shuffled[:cut]
    assert _told(session) == _told(fold_acts(Session("u"), acts))


@given(_rows, st.randoms(use_true_random=False))
def test_sessions_of_one_person_put_together_are_the_session_of_all_acts(
    rows: list[tuple[int, list[int]]], rng: random.Random
) -> None:
    acts = _acts(rows)
    parts: list[list[Act]] = [[], [], []]
    for act in acts:
        rng.choice(parts).append(act)
    one, other, third = (fold_acts(Session("u"), part) for part in parts)
    expected = _told(fold_acts(Session("u"), acts))
    assert _told(merge_sessions(merge_sessions(one, other), third)) == expected
    assert _told(merge_sessions(third, merge_sessions(other, one))) == expected


def test_what_was_taken_out_of_the_cart_is_not_in_it_whatever_comes_first() -> None:
    add, remove = (
        Act(at, kind.code, bytes([at]), ("milk",))
        for at, kind in ((1, EventType.ADD_TO_CART), (2, EventType.REMOVE_FROM_CART))
    )
    for acts in ([add, remove], [remove, add]):
        session = fold_acts(Session("u"), acts)
        assert session.cart == ()
        assert [past.item_id for past in session.history] == ["milk"]
