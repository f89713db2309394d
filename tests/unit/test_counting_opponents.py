"""Popularity, of everybody, of a session and of a shopper, on counts that are worked out by
hand."""

import numpy as np
from small_shop import interactions, last_of_each

from endcap.export.data.slates import SLATE
from endcap.export.opponents.opponent import Task
from endcap.export.opponents.popularity import (
    PersonalPopOptions,
    PopOptions,
    fit_personal_pop,
    fit_pop,
    fit_session_pop,
)

DAY_MS = 86_400_000
# 4 is there four times, 3 three times, 2 twice, 1 once; 0 is outside the vocabulary.
TASK = Task(interactions([[4, 4, 0, 4, 0], [4, 3, 3], [3, 2, 2, 1]]), 5, seed=1)


def shown(slates: "np.ndarray[tuple[int, int], np.dtype[np.int32]]") -> list[list[int]]:
    return [[item for item in slate.tolist() if item] for slate in slates]


def test_pop_shows_everybody_the_same() -> None:
    slates = fit_pop(TASK, PopOptions()).slates(last_of_each(interactions([[1, 9], [4, 2, 9]])))
    assert slates.shape == (2, SLATE)
    assert shown(slates) == [[4, 3, 2, 1], [4, 3, 2, 1]]


def test_pop_counts_the_newest_share_of_the_events() -> None:
    # Of twelve events the newest quarter is 2 2 1.
    options = PopOptions(newest=0.25)
    slates = fit_pop(TASK, options).slates(last_of_each(interactions([[1, 9]])))
    assert shown(slates) == [[2, 1]]


def test_items_of_the_history_are_left_out_where_so_chosen() -> None:
    cases = last_of_each(interactions([[4, 1, 9]]))
    for fit in (fit_pop, fit_session_pop):
        assert shown(fit(TASK, PopOptions(exclude_seen=True)).slates(cases)) == [[3, 2]]
    options = PersonalPopOptions(exclude_seen=True)
    assert shown(fit_personal_pop(TASK, options).slates(cases)) == [[3, 2]]


def test_a_sessions_items_stand_by_count_then_by_the_newest_then_comes_what_is_popular() -> None:
    # In the last session: 1 twice, 5 and 2 once, 2 the newer. The 3 was in an earlier one.
    events = interactions([[3, 1, 5, 1, 2, 9]], sessions=[[0, 1, 1, 1, 1, 1]])
    slates = fit_session_pop(TASK, PopOptions()).slates(last_of_each(events))
    assert shown(slates) == [[1, 2, 5, 4, 3]]


def test_a_shoppers_counts_halve_with_the_days() -> None:
    # Asked on day 20, half-life 10 days: 1 counts 0.25 + 0.25, 2 counts 1 - that is more.
    # With a half-life of 1,000 days the two of item 1 count more.
    events = interactions(
        [[1, 1, 2, 9]], times_ms=[[0, 0, 20 * DAY_MS, 20 * DAY_MS]], sessions=[[0, 0, 1, 2]]
    )
    for half_life, expected in ((10.0, [2, 1]), (1000.0, [1, 2])):
        options = PersonalPopOptions(half_life_days=half_life, popularity=0.0)
        slates = fit_personal_pop(TASK, options).slates(last_of_each(events))
        assert shown(slates)[0][:2] == expected


def test_a_shoppers_counts_halve_with_the_events_where_there_is_no_clock() -> None:
    # Half-life of one event: 1 counts 1/4 + 1/8, 2 counts 1/2, 3 counts 1.
    options = PersonalPopOptions(half_life_events=1.0, popularity=0.0)
    slates = fit_personal_pop(TASK, options).slates(last_of_each(interactions([[1, 1, 2, 3, 9]])))
    assert shown(slates)[0][:3] == [3, 2, 1]


def test_popularity_speaks_beside_a_shoppers_own_counts_once() -> None:
    # Own shares: 1 and 2 half each. Of ten training events 4 has 0.4, 3 0.3, 2 0.2, 1 0.1.
    #   popularity 1: 2 gets 0.7, 1 gets 0.6, 4 0.4, 3 0.3
    #   popularity 4: 4 gets 1.6, 2 gets 1.3, 3 gets 1.2, 1 gets 0.9
    # Were 2's share added twice, it would lead at 4 with 2.1.
    cases = last_of_each(interactions([[1, 2, 9]], times_ms=[[0, 0, 0]]))
    for popularity, expected in ((1.0, [2, 1, 4, 3]), (4.0, [4, 2, 3, 1])):
        options = PersonalPopOptions(popularity=popularity)
        assert shown(fit_personal_pop(TASK, options).slates(cases)) == [expected]
