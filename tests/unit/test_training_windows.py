"""How sequences become batches: nothing is lost, nothing comes twice."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from small_shop import interactions

from endcap.events import EventType
from endcap.export.opponents.grouped_events import PIECE, grouped
from endcap.export.opponents.windows import batches, cut_windows, padded, shuffled_purchases

sequences_of_items = st.lists(st.lists(st.integers(0, 9), max_size=12), min_size=1, max_size=8)


@given(sequences_of_items, st.integers(1, 6))
def test_each_known_event_but_a_sequences_first_is_a_target_once(
    sequences: list[list[int]], length: int
) -> None:
    windows = cut_windows(interactions(sequences), length)
    targets = [
        windows.items[start + 1 : start + n].tolist()
        for start, n in zip(windows.starts, windows.lengths, strict=True)
    ]
    known = [[item for item in sequence if item] for sequence in sequences]
    expected = sorted(item for sequence in known for item in sequence[1:])
    assert sorted(item for target in targets for item in target) == expected
    assert all(1 <= len(target) <= length for target in targets)


def test_windows_are_cut_from_the_end_so_that_the_newest_has_most_to_look_back_on() -> None:
    windows = cut_windows(interactions([[1, 2, 3, 4, 5, 6]]), 3)
    rows = padded(windows.items, windows.starts, windows.lengths)
    assert rows.tolist() == [[3, 4, 5, 6], [1, 2, 3, 0]]


@given(st.lists(st.integers(2, 30), max_size=60), st.integers(1, 64), st.integers(0, 9))
def test_batches_hold_each_row_once_and_are_no_larger_than_allowed(
    lengths: list[int], tokens: int, seed: int
) -> None:
    sizes = np.array(lengths, dtype=np.int64)
    parts = list(batches(sizes, tokens, np.random.default_rng(seed)))
    assert sorted(row for part in parts for row in part.tolist()) == list(range(len(lengths)))
    assert all(part.size == 1 or part.size * sizes[part].max() <= tokens for part in parts)


def test_lines_of_one_purchase_change_places_and_nothing_else_does() -> None:
    events = interactions(
        [[1, 2, 3, 4, 5, 6, 7, 8], [9, 8]],
        times_ms=[[1, 1, 1, 1, 1, 1, 2, 2], [2, 2]],
        sessions=[[0, 0, 0, 0, 0, 0, 1, 1], [2, 2]],
        event_type=EventType.PURCHASE.code,
    )
    orders = set()
    for seed in range(20):
        items = shuffled_purchases(events, np.random.default_rng(seed)).items.tolist()
        orders.add(tuple(items))
        assert sorted(items[:6]) == [1, 2, 3, 4, 5, 6]
        assert sorted(items[6:8]) == [7, 8]
        assert sorted(items[8:]) == [8, 9]
    assert len(orders) > 10


def test_clicks_stay_in_their_order_though_a_data_set_without_a_clock_gives_them_one_time() -> None:
    events = interactions([[3, 1, 2]], times_ms=[[7, 7, 7]])
    assert shuffled_purchases(events, np.random.default_rng(1)).items.tolist() == [3, 1, 2]


def test_a_long_sequence_is_several_groups_and_unknown_items_are_in_none() -> None:
    events = interactions([[1] * (PIECE + 1), [2, 0], [3, 3]])
    found = grouped(events, "sequence")
    assert found.groups.tolist() == [0] * PIECE + [1, 2, 3, 3]
    assert found.items.tolist() == [1] * (PIECE + 1) + [2, 3, 3]


def test_visits_are_groups_by_themselves() -> None:
    events = interactions([[1, 2, 3]], sessions=[[4, 4, 5]])
    assert grouped(events, "session").groups.tolist() == [4, 4, 5]
