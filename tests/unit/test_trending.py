"""The trending windows: what counts, what falls out, and that order does not matter."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.trending import EMPTY, WEEK, WEIGHTS, Evidence, Slot, Trends, Window

SPAN_H = WEEK.size_h
ANY_ACT = Evidence(0, 0.0)
"""Moves the windows."""

ITEMS = st.sampled_from(["apple", "bread", "corn"])
ACTS = st.lists(st.tuples(st.integers(0, 3 * SPAN_H), ITEMS, st.sampled_from([1, 2, 4])))
Act = tuple[int, str, int]


def window_of(acts: list[Act]) -> Trends:
    window = Trends(at_least=0, evidence=ANY_ACT)
    for offset, (hour, item_id, weight) in enumerate(acts):
        slot = Slot(hour, item_id)
        window.put(slot, window.get(slot).plus(weight, 0, offset))
        window.expire()
    return window


def everything(window: Trends) -> list[tuple[str, int]]:
    return window.top(99, lambda _: True)


@given(ACTS)
def test_the_window_holds_the_span_before_its_newest_hour(acts: list[Act]) -> None:
    newest = max((hour for hour, _, _ in acts), default=0)
    expected: dict[str, int] = {}
    for hour, item_id, weight in acts:
        if hour > newest - SPAN_H:
            expected[item_id] = expected.get(item_id, 0) + weight
    best = sorted(expected.items(), key=lambda row: (-row[1], row[0]))
    assert everything(window_of(acts)) == best


@given(st.data(), ACTS)
def test_the_order_of_acts_does_not_matter(data: st.DataObject, acts: list[Act]) -> None:
    assert everything(window_of(data.draw(st.permutations(acts)))) == everything(window_of(acts))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20))), st.integers(0, 30))
def test_what_is_read_again_after_a_crash_changes_nothing(
    acts: list[tuple[int, int]], back: int
) -> None:
    in_order = sorted(acts, key=lambda act: act[1])  # each partition's offsets grow
    bucket = EMPTY
    for partition, offset in in_order:
        bucket = bucket.plus(2, partition, offset)
    again = bucket
    for partition, offset in in_order[-back:]:
        again = again.plus(2, partition, offset)
    assert again == bucket
    assert bucket.weight == 2 * len(set(acts))


def test_a_purchase_outweighs_a_cart_and_a_cart_a_view() -> None:
    window = window_of([(0, kind, weight) for kind, weight in WEIGHTS.items()])
    assert everything(window) == [("purchase", 4), ("cart", 2), ("view", 1)]
    assert window.top(1, lambda _: True) == [("purchase", 4)]
    assert window.top(1, lambda item_id: item_id != "purchase") == [("cart", 2)]


def test_what_fell_out_of_the_span_is_forgotten_and_named() -> None:
    window = window_of([(0, "old", 4), (1, "new", 1)])
    window.put(Slot(SPAN_H, "new"), EMPTY.plus(1, 0, 9))
    assert window.expire() == [Slot(0, "old")]
    assert window.expire() == []
    assert window.get(Slot(0, "old")) == EMPTY
    assert not window.put(Slot(0, "old"), EMPTY.plus(1, 0, 10))
    assert everything(window) == [("new", 2)]


def test_a_quiet_shop_keeps_older_hours_until_enough_items_trend() -> None:
    window = Trends(at_least=2, evidence=ANY_ACT)
    for hour, item_id in ((0, "old"), (1, "older than a week"), (2 * SPAN_H, "new")):
        window.put(Slot(hour, item_id), EMPTY.plus(1, 0, hour))
    assert window.expire() == [Slot(0, "old")]
    assert everything(window) == [("new", 1), ("older than a week", 1)]
    window.put(Slot(2 * SPAN_H, "newer"), EMPTY.plus(1, 0, 9))
    assert window.expire() == [Slot(1, "older than a week")]


def busy_week() -> Trends:
    """An even week: ten apples, five loaves and a tin of corn are bought an hour."""
    trends = Trends(at_least=1)
    for hour in range(SPAN_H):
        buy(trends, hour, apple=10, bread=5, corn=1)
    return trends


def buy(trends: Trends, hour: int, **pieces: int) -> None:
    for item_id, n in pieces.items():
        slot = Slot(hour, item_id)
        trends.put(slot, trends.get(slot).plus(4 * n, 0, hour))
    trends.expire()


@pytest.mark.parametrize("ahead_h", [1, 2 * SPAN_H, 50 * SPAN_H])
def test_one_basket_of_another_time_empties_no_list(ahead_h: int) -> None:
    trends = busy_week()
    buy(trends, SPAN_H + ahead_h, corn=1, dates=1)
    assert [item_id for item_id, _ in everything(trends)] == ["apple", "bread", "corn", "dates"]
    for later in range(SPAN_H, 2 * SPAN_H):  # the others go on, and the window with them
        buy(trends, later, bread=10, corn=1)
    assert [item_id for item_id, _ in everything(trends)][:2] == ["bread", "corn"]


def test_after_a_holiday_the_window_moves_when_enough_was_bought() -> None:
    trends = busy_week()
    best_of_then = ("apple", 4 * 10 * SPAN_H)
    buy(trends, 5 * SPAN_H, dates=60)
    assert everything(trends)[0] == best_of_then
    buy(trends, 5 * SPAN_H + 9, dates=40)
    assert everything(trends) == [("dates", 400)]


def test_a_larger_shop_wants_a_hundredth_of_what_it_holds() -> None:
    trends = Trends(at_least=1)
    for hour in range(SPAN_H):
        buy(trends, hour, apple=1000)
    buy(trends, 5 * SPAN_H, dates=1600)
    assert everything(trends)[0] == ("apple", 4 * 1000 * SPAN_H)
    buy(trends, 5 * SPAN_H + 1, dates=100)
    assert everything(trends) == [("dates", 4 * 1700)]


def test_a_crash_does_not_move_the_windows() -> None:
    trends, restored = busy_week(), Trends(at_least=1)
    buy(trends, 9 * SPAN_H, dates=1)
    held = [Slot(h, i) for h in range(9 * SPAN_H + 1) for i in ("apple", "bread", "corn", "dates")]
    for slot in reversed(held):
        if trends.get(slot).weight:
            restored.put(slot, trends.get(slot))
    restored.expire()
    assert restored.span == trends.span
    assert everything(restored) == everything(trends)
    assert restored.top_now(9, lambda _: True) == trends.top_now(9, lambda _: True)


def test_equal_weights_are_ordered_by_id() -> None:
    assert everything(window_of([(0, "b", 2), (0, "a", 2)])) == [("a", 2), ("b", 2)]


def test_right_now_means_the_last_day() -> None:
    assert window_of([(100, "apple", 1)]).is_of_now("apple")
    assert not window_of([(50, "apple", 9), (100, "apple", 1)]).is_of_now("apple")


WINDOWS = st.integers(1, 8).flatmap(
    lambda hop: st.builds(Window, st.integers(1, 6).map(lambda n: n * hop), st.just(hop))
)


@given(WINDOWS, st.integers(0, 500))
def test_a_window_holds_its_newest_hour_and_begins_with_a_hop(window: Window, newest: int) -> None:
    first = window.first_hour(newest)
    assert first <= newest < first + window.size_h
    assert (first + window.size_h) % window.hop_h == 0
    assert window.first_hour(newest + window.hop_h) == first + window.hop_h


@given(WINDOWS, WINDOWS, ACTS)
def test_each_of_two_windows_holds_what_lies_in_it(
    longer: Window, shorter: Window, acts: list[Act]
) -> None:
    trends = Trends(longer, shorter, at_least=0, evidence=ANY_ACT)
    for offset, (hour, item_id, weight) in enumerate(acts):
        slot = Slot(hour, item_id)
        trends.put(slot, trends.get(slot).plus(weight, 0, offset))
        trends.expire()
    newest = max((hour for hour, _, _ in acts), default=0)

    def plain(*windows: Window) -> dict[str, int]:
        first = max(window.first_hour(newest) for window in windows)
        counts: Counter[str] = Counter()
        for hour, item_id, weight in acts:
            if hour >= first:
                counts[item_id] += weight
        return dict(counts)

    assert dict(everything(trends)) == plain(longer)
    assert dict(trends.top_now(99, lambda _: True)) == plain(longer, shorter)


@given(st.lists(st.tuples(st.integers(0, 300), ITEMS, st.sampled_from(["", "north", "south"]))))
def test_a_store_has_its_own_weights(acts: list[tuple[int, str, str]]) -> None:
    trends = Trends(at_least=0, evidence=ANY_ACT)
    for offset, (hour, item_id, store) in enumerate(acts):
        slot = Slot(hour, item_id, store)
        trends.put(slot, trends.get(slot).plus(1, 0, offset))
        trends.expire()
    first = WEEK.first_hour(max((hour for hour, _, _ in acts), default=0))
    for store in ("", "north", "south"):
        plain = Counter(item for hour, item, at in acts if at == store and hour >= first)
        assert dict(trends.top(99, lambda _: True, store)) == dict(plain)


def test_a_category_is_the_best_among_its_items() -> None:
    trends = window_of([(0, "apple", 1), (0, "bread", 4), (0, "corn", 2)])
    assert trends.top(9, lambda _: True, among={"apple", "corn", "never seen"}) == [
        ("corn", 2),
        ("apple", 1),
    ]


def test_a_busy_shop_gives_up_its_oldest_hours() -> None:
    trends = Trends(at_least=0, max_buckets=3, evidence=ANY_ACT)
    for hour in range(5):
        trends.put(Slot(hour, "apple"), EMPTY.plus(1, 0, hour))
    assert trends.expire() == [Slot(0, "apple"), Slot(1, "apple")]
    assert trends.given_up == 2
    assert everything(trends) == [("apple", 3)]


def test_a_store_beyond_the_bound_has_no_list() -> None:
    trends = Trends(max_stores=1)
    assert trends.put(Slot(0, "apple", "north"), EMPTY.plus(1, 0, 0))
    assert not trends.put(Slot(0, "apple", "south"), EMPTY.plus(1, 0, 1))
    assert trends.given_up == 1
