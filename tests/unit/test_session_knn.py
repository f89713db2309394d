"""Session kNN on four sessions whose scores are worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.candidates.scored import Scored, recent_items
from endcap.candidates.session_index import SessionIndex, build_session_index
from endcap.candidates.stan import Stan, stan
from endcap.candidates.vmis_knn import VmisKnn, vmis_knn

# Session, in order of time: its items.
#   0: 1 2      1: 2 3 4      2: 1 4      3: 2 1 5 (1 came twice; its last place counts)
SESSIONS = [[1, 2], [2, 3, 4], [1, 4], [1, 2, 1, 5]]
N_ITEMS = 6
IDF = {1: math.log(4 / 3), 2: math.log(4 / 3), 3: math.log(4), 4: math.log(2), 5: math.log(4)}


def index_of(sessions: list[list[int]], most_recent: int = 500) -> SessionIndex:
    items = np.array([item for session in sessions for item in session], dtype=np.int32)
    owners = np.repeat(np.arange(len(sessions)), [len(session) for session in sessions])
    return build_session_index(items, owners, np.arange(items.size), N_ITEMS, most_recent)


def history(*items: int) -> "np.ndarray[tuple[int], np.dtype[np.int32]]":
    return np.array(items, dtype=np.int32)


def as_dict(scored: Scored) -> dict[int, float]:
    return dict(zip(scored.ids.tolist(), scored.scores.tolist(), strict=True))


def test_an_item_that_came_twice_stands_where_it_came_last() -> None:
    index = index_of(SESSIONS)
    held = np.split(index.session_items, index.session_offsets[1:-1])
    assert [items.tolist() for items in held] == [[1, 2], [2, 3, 4], [1, 4], [2, 1, 5]]
    assert index.session_times_ms.tolist() == [1, 4, 6, 10]


def test_an_item_knows_its_newest_sessions_newest_first() -> None:
    index = index_of(SESSIONS, most_recent=2)
    held = np.split(index.item_sessions, index.item_offsets[1:-1])
    assert [sessions.tolist() for sessions in held] == [[], [3, 2], [3, 1], [1], [2, 1], [3], []]
    # Item 1 is in three sessions of four, whatever was cut.
    assert index.item_idf[1] == pytest.approx(math.log(4 / 3))
    assert index.item_idf[6] == 0.0


def test_sessions_are_ranked_by_time_whatever_their_numbers() -> None:
    items = np.array([1, 2, 1, 3])
    index = build_session_index(items, np.array([9, 9, 4, 4]), np.array([50, 60, 10, 20]), 3)
    assert index.session_items.tolist() == [1, 3, 1, 2]
    assert index.session_times_ms.tolist() == [20, 60]
    assert index.item_sessions[index.item_offsets[1] : index.item_offsets[2]].tolist() == [1, 0]


def test_no_event_makes_an_index_that_answers_nothing() -> None:
    nothing = np.empty(0, dtype=np.int32)
    index = build_session_index(nothing, nothing, nothing, 3)
    assert vmis_knn(history(1, 2), index, VmisKnn()).ids.size == 0
    assert stan(history(1, 2), index, Stan()).ids.size == 0


def test_vmis_knn_weighs_position_match_and_idf() -> None:
    # History 4 1: item 1 weighs (2 - 0) / 2 = 1, item 4 weighs (2 - 1) / 2 = 0.5.
    # Similarities: session 0 (item 1) 1; 1 (item 4) 0.5; 2 (both) 1.5; 3 (item 1) 1.
    # Match: session 1's newest common item is one event back: 1 - 0.1. So sessions say
    #   0: 1     1: 0.45     2: 1.5     3: 1
    # Items: 1 from 0, 2, 3; 2 from 0, 1, 3; 3 from 1; 4 from 1, 2; 5 from 3.
    said = {1: 3.5, 2: 2.45, 3: 0.45, 4: 1.95, 5: 1.0}
    found = as_dict(vmis_knn(history(4, 1), index_of(SESSIONS), VmisKnn(idf=2.0)))
    assert found == pytest.approx({item: s * (1 + 2 * IDF[item]) for item, s in said.items()})


def test_vmis_knn_reads_the_newest_sessions_alone_and_keeps_the_most_similar() -> None:
    # The two newest of all four sessions are 2 (similarity 1.5) and 3 (1); the best of them is 2.
    options = VmisKnn(sample=2, neighbours=1, idf=0.0)
    found = as_dict(vmis_knn(history(4, 1), index_of(SESSIONS), options))
    assert found == pytest.approx({1: 1.5, 4: 1.5})


def test_of_equally_similar_sessions_the_newer_is_kept() -> None:
    # Item 2 alone: sessions 0, 1 and 3 are equally similar.
    found = as_dict(vmis_knn(history(2), index_of(SESSIONS), VmisKnn(neighbours=1, idf=0.0)))
    assert found == pytest.approx({1: 1.0, 2: 1.0, 5: 1.0})


def test_stan_decays_by_order_age_and_distance() -> None:
    # History 4 1, recency 1: item 1 weighs 1, item 4 weighs 1/e. Over sqrt(items in session):
    #   0: 1 / sqrt 2     1: 1/e / sqrt 3     2: (1 + 1/e) / sqrt 2     3: 1 / sqrt 3
    # Age, as a share of four sessions, over 0.5: 0: 3/4 -> e^-1.5; 1: e^-1; 2: e^-0.5; 3: 1.
    # Distance 1, in places from the newest common item (item 1; in session 1 item 4):
    #   0: 1 at 0, 2 at 1     1: 4 at 0, 3 at 1, 2 at 2     2: 1 at 0, 4 at 1
    #   3: 1 at 0, 2 at 1, 5 at 1
    e = math.exp
    s0, s1 = e(-1.5) / math.sqrt(2), e(-1) / math.sqrt(3) * e(-1)
    s2, s3 = (1 + e(-1)) / math.sqrt(2) * e(-0.5), 1 / math.sqrt(3)
    expected = {
        1: s0 + s2 + s3,
        2: s0 * e(-1) + s1 * e(-2) + s3 * e(-1),
        3: s1 * e(-1),
        4: s1 + s2 * e(-1),
        5: s3 * e(-1),
    }
    options = Stan(recency=1.0, age=0.5, distance=1.0)
    assert as_dict(stan(history(4, 1), index_of(SESSIONS), options)) == pytest.approx(expected)


def test_vstan_adds_match_and_idf() -> None:
    # As above without age and distance; session 1's common item is one event back: 1/e for match 1.
    e = math.exp
    s0, s1 = 1 / math.sqrt(2), e(-1) / math.sqrt(3) * e(-1)
    s2, s3 = (1 + e(-1)) / math.sqrt(2), 1 / math.sqrt(3)
    said = {1: s0 + s2 + s3, 2: s0 + s1 + s3, 3: s1, 4: s1 + s2, 5: s3}
    options = Stan(recency=1.0, age=math.inf, distance=math.inf, match=1.0, idf=1.0)
    found = as_dict(stan(history(4, 1), index_of(SESSIONS), options))
    assert found == pytest.approx({item: s * (1 + IDF[item]) for item, s in said.items()})


def test_a_history_of_unknown_items_gets_nothing() -> None:
    index = index_of(SESSIONS)
    for unknown in (history(), history(0, 0), history(6)):
        assert vmis_knn(unknown, index, VmisKnn()).ids.size == 0
        assert stan(unknown, index, Stan()).ids.size == 0


def test_the_newest_events_speak_and_a_repeated_item_where_it_came_last() -> None:
    recent = recent_items(history(5, 1, 2, 0, 1), 4)
    assert (recent.items.tolist(), recent.steps.tolist()) == ([1, 2], [0, 2])


sessions_of_items = st.lists(
    st.lists(st.integers(0, N_ITEMS), min_size=1, max_size=8), min_size=1, max_size=12
)


@given(sessions_of_items, st.lists(st.integers(0, N_ITEMS), max_size=8))
def test_ids_are_ascending_known_and_from_sessions_with_an_item_in_common(
    sessions: list[list[int]], seen: list[int]
) -> None:
    index = index_of(sessions)
    shared = [set(s) - {0} for s in sessions if set(s) & set(seen) - {0}]
    for found in (
        vmis_knn(history(*seen), index, VmisKnn(match_step=0.0)),
        stan(history(*seen), index, Stan()),
    ):
        assert found.ids.tolist() == sorted(set().union(*shared))
        assert (found.scores > 0).all()
