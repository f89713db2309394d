"""Transitions and item-kNN on three sessions whose scores are worked out by hand."""

import math

import numpy as np
import pytest

from endcap.candidates.item_knn import ItemKnn, build_item_knn
from endcap.candidates.neighbours import Neighbours, Spoken, neighbour_scores
from endcap.candidates.pair_sums import pair_counts, pair_sums
from endcap.candidates.transitions import Transitions, build_transitions

SESSIONS = [[1, 2, 3], [1, 2], [2, 1]]
ITEMS = np.array([item for session in SESSIONS for item in session], dtype=np.int32)
OWNERS = np.repeat(np.arange(3), [3, 2, 2])
N_ITEMS = 4


def row(neighbours: Neighbours, item: int) -> dict[int, float]:
    ids, scores = neighbours.ids[item], neighbours.scores[item]
    return {int(i): float(s) for i, s in zip(ids, scores, strict=True) if i}


def test_what_followed_is_weighed_by_distance() -> None:
    # After 1: 2 twice (weight 1 each), 3 once two places on (0.5): sum 2.5.
    # After 2: 3 once, 1 once.
    both = build_transitions(
        ITEMS, OWNERS, N_ITEMS, Transitions(window=2, decay=0.5, shrink=0.0, keep=3)
    )
    assert row(both.following, 1) == pytest.approx({2: 2 / 2.5, 3: 0.5 / 2.5})
    assert row(both.following, 2) == pytest.approx({1: 0.5, 3: 0.5})
    assert row(both.following, 3) == {}
    # Before 3: 2 next to it, 1 two places off.
    assert row(both.preceding, 3) == pytest.approx({2: 1 / 1.5, 1: 0.5 / 1.5})


def test_shrinkage_and_popularity_change_the_score_as_documented() -> None:
    # In a window of 1 there are four pairs: 1-2 twice, 2-3, 2-1. Two of four arrive at 2.
    options = Transitions(window=1, shrink=2.0, popularity=0.5, keep=3)
    both = build_transitions(ITEMS, OWNERS, N_ITEMS, options)
    assert row(both.following, 1) == pytest.approx({2: 2 / (2 + 2) / math.sqrt(0.5)})
    assert row(both.following, 2) == pytest.approx(
        {1: 1 / 4 / math.sqrt(0.25), 3: 1 / 4 / math.sqrt(0.25)}
    )


def test_a_pair_weighs_what_its_later_event_weighs() -> None:
    weights = np.array([9.0, 1.0, 9.0, 9.0, 3.0, 9.0, 9.0])
    both = build_transitions(
        ITEMS, OWNERS, N_ITEMS, Transitions(window=1, shrink=0.0, keep=2), weights
    )
    # After 2: 3 with weight 9, 1 with weight 9; before 2: 1 with weights 1 and 3.
    assert row(both.following, 1) == pytest.approx({2: 1.0})
    sums = pair_sums(ITEMS, OWNERS, [1.0], N_ITEMS, weights)
    pairs = zip(sums.item.tolist(), sums.other.tolist(), sums.sums.tolist(), strict=True)
    assert list(pairs) == [(1, 2, 4.0), (2, 1, 9.0), (2, 3, 9.0)]


def test_an_item_that_people_come_back_to_follows_itself() -> None:
    both = build_transitions(
        np.array([1, 2, 1]), np.zeros(3, dtype=int), N_ITEMS, Transitions(window=2, decay=1.0)
    )
    assert set(row(both.following, 1)) == {1, 2}


def test_item_knn_is_a_cosine_with_shrinkage_the_same_both_ways() -> None:
    # 1 and 2 are in three sessions each, all three together; 3 in one, with both.
    found = build_item_knn(ITEMS, OWNERS, N_ITEMS, ItemKnn(shrink=1.0, keep=2))
    alone = 1 / math.sqrt(3 * 1) * 1 / (1 + 1)
    assert row(found, 1) == pytest.approx({2: 3 / 3 * 3 / 4, 3: alone})
    assert row(found, 3) == pytest.approx({1: alone, 2: alone})
    # Of equals the lower id comes first.
    assert found.ids[3].tolist() == [1, 2]


def test_an_item_counts_once_in_a_session_and_unknown_ones_not_at_all() -> None:
    items, owners = np.array([1, 1, 0, 2, 1]), np.zeros(5, dtype=int)
    found = build_item_knn(items, owners, N_ITEMS, ItemKnn(shrink=0.0))
    assert row(found, 1) == pytest.approx({2: 1.0})
    assert row(found, 0) == {}


def test_rare_pairs_are_left_out() -> None:
    found = build_item_knn(ITEMS, OWNERS, N_ITEMS, ItemKnn(at_least=2))
    assert set(row(found, 1)) == {2}
    assert row(found, 3) == {}


def test_long_sessions_that_are_summed_in_parts_give_the_same_sums(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(5)
    items, owners = rng.integers(0, 30, 2000), np.repeat(np.arange(20), 100)
    whole = pair_sums(items, owners, [1.0] * 50, 30), pair_counts(items, owners, 50, 30)
    monkeypatch.setattr("endcap.candidates.pair_sums._AT_ONCE", 500)
    monkeypatch.setattr("endcap.candidates.pair_sums._COUNTED_AT_ONCE", 5000)
    parts = pair_sums(items, owners, [1.0] * 50, 30), pair_counts(items, owners, 50, 30)
    for one, other in zip(whole, parts, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_newest_items_speak_loudest() -> None:
    neighbours = Neighbours(
        np.array([[0, 0], [2, 3], [3, 0]], dtype=np.int32),
        np.array([[0, 0], [1.0, 0.5], [0.25, 0]], dtype=np.float32),
    )
    # Item 2 is newest (weight 1), item 1 one event back (0.5): 2 gets 0.5, 3 gets 0.25 + 0.25.
    found = neighbour_scores(
        np.array([1, 2], dtype=np.int32), neighbours, Spoken(length=5, decay=0.5)
    )
    assert dict(zip(found.ids.tolist(), found.scores.tolist(), strict=True)) == {2: 0.5, 3: 0.5}


def test_an_item_of_the_history_may_speak_for_itself() -> None:
    neighbours = Neighbours(
        np.array([[0], [2], [1]], dtype=np.int32), np.array([[0], [1], [1]], dtype=np.float32)
    )
    # 2 is newest: it gives 1 to item 1 and 0.25 to itself; 1 (weight 0.5) gives 0.5 to item 2.
    spoken = Spoken(length=5, decay=0.5, own=0.25)
    found = neighbour_scores(np.array([1, 2], dtype=np.int32), neighbours, spoken)
    assert dict(zip(found.ids.tolist(), found.scores.tolist(), strict=True)) == {
        1: 1.0 + 0.5 * 0.25,
        2: 0.5 + 0.25,
    }


def test_no_event_makes_neighbours_of_nobody() -> None:
    nothing = np.empty(0, dtype=np.int32)
    assert build_item_knn(nothing, nothing, N_ITEMS, ItemKnn()).scores.sum() == 0
    both = build_transitions(nothing, nothing, N_ITEMS, Transitions())
    assert both.following.scores.sum() == both.preceding.scores.sum() == 0
