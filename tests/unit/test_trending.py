"""The trending windows: what counts, what falls out, and that order does not matter."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.trending import HOUR_MS, SPAN_H, WEIGHTS, ItemWindow, add, reason, top, watermark

ACTS = st.lists(
    st.tuples(st.integers(0, 3 * SPAN_H * HOUR_MS), st.sampled_from(sorted(WEIGHTS.values())))
)


def folded(acts: list[tuple[int, int]]) -> ItemWindow:
    window: ItemWindow = {}
    for timestamp_ms, weight in acts:
        window = add(window, timestamp_ms, weight)
    return window


@given(st.data(), ACTS)
def test_the_order_of_adds_does_not_matter(
    data: st.DataObject, acts: list[tuple[int, int]]
) -> None:
    assert folded(data.draw(st.permutations(acts))) == folded(acts)


@given(ACTS)
def test_a_window_is_the_span_before_its_newest_hour_and_survives_json(
    acts: list[tuple[int, int]],
) -> None:
    window = folded(acts)
    newest = max((t // HOUR_MS for t, _ in acts), default=0)
    kept = sum(weight for t, weight in acts if t // HOUR_MS > newest - SPAN_H)
    assert sum(window.values()) == kept
    assert len(window) <= SPAN_H
    assert json.loads(json.dumps(window)) == window


def test_add_leaves_its_argument_alone() -> None:
    before = {"5": 1}
    assert add(before, 5 * HOUR_MS, 4) == {"5": 5}
    assert before == {"5": 1}


def test_an_act_older_than_the_span_is_not_counted() -> None:
    assert add({str(SPAN_H): 1}, 0, 4) == {str(SPAN_H): 1}
    assert add({str(SPAN_H): 1}, HOUR_MS, 4) == {"1": 4, str(SPAN_H): 1}


def test_a_purchase_outweighs_a_cart_and_a_cart_a_view() -> None:
    windows = {kind: add({}, 0, weight) for kind, weight in WEIGHTS.items()}
    assert top(windows, 0, 9) == [("purchase", 4), ("cart", 2), ("view", 1)]
    assert top(windows, 0, 1) == [("purchase", 4)]


def test_items_that_nobody_touched_within_the_span_do_not_trend() -> None:
    windows = {"old": {"0": 100}, "new": {str(SPAN_H): 1}}
    assert top(windows, watermark(windows.values()), 9) == [("new", 1)]


def test_equal_scores_are_ordered_by_id() -> None:
    assert top({"b": {"0": 2}, "a": {"0": 2}}, 0, 9) == [("a", 2), ("b", 2)]


def test_the_watermark_is_within_the_newest_hour() -> None:
    assert watermark([]) == 0
    assert watermark([{"3": 1}, {"7": 1}]) // HOUR_MS == 7


@pytest.mark.parametrize(
    ("window", "expected"),
    [({"100": 1}, "popular right now"), ({"50": 9, "100": 1}, "popular this week")],
)
def test_right_now_means_the_last_day(window: ItemWindow, expected: str) -> None:
    assert reason(window, 100 * HOUR_MS) == expected
