"""The trending windows: what counts, what falls out, and that order does not matter."""

from hypothesis import given
from hypothesis import strategies as st

from endcap.trending import EMPTY, WEEK, WEIGHTS, Slot, Trends

SPAN_H = WEEK.size_h

ITEMS = st.sampled_from(["apple", "bread", "corn"])
ACTS = st.lists(st.tuples(st.integers(0, 3 * SPAN_H), ITEMS, st.sampled_from([1, 2, 4])))
Act = tuple[int, str, int]


def window_of(acts: list[Act]) -> Trends:
    window = Trends(at_least=0)
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
    window = Trends(at_least=2)
    for hour, item_id in ((0, "old"), (1, "older than a week"), (2 * SPAN_H, "new")):
        window.put(Slot(hour, item_id), EMPTY.plus(1, 0, hour))
    assert window.expire() == [Slot(0, "old")]
    assert everything(window) == [("new", 1), ("older than a week", 1)]
    window.put(Slot(2 * SPAN_H, "newer"), EMPTY.plus(1, 0, 9))
    assert window.expire() == [Slot(1, "older than a week")]


def test_equal_weights_are_ordered_by_id() -> None:
    assert everything(window_of([(0, "b", 2), (0, "a", 2)])) == [("a", 2), ("b", 2)]


def test_right_now_means_the_last_day() -> None:
    assert window_of([(100, "apple", 1)]).reason("apple") == "popular right now"
    assert window_of([(50, "apple", 9), (100, "apple", 1)]).reason("apple") == "popular this week"
