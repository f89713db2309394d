"""Why an item is shown, in words for the shopper: by what truly put it among the candidates."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from endcap.candidates import FEATURES, GENERATED, Candidates
from endcap.catalogue import CatalogueItem
from endcap.messages import ENGLISH, Messages

_TIMES_BOUGHT = FEATURES.index("times_bought")
_RECENCY = FEATURES.index("bought_recency")
_DUE = FEATURES.index("due")
_FOLLOWING = FEATURES.index("following")
_TOGETHER = FEATURES.index("together")
_IN_HISTORY = FEATURES.index("in_history")
HABIT = 3
"""Purchases from which on the days between them are worth telling."""
LONGEST_DAYS = 45.0
"""Nobody calls it a habit where more lies between."""
KEPT_UP = 2.0
"""A habit that is not followed for so many times its gap is none any more."""


def reasons(
    candidates: Candidates,
    places: Sequence[int],
    item_at: Callable[[int], CatalogueItem],
    messages: Messages = ENGLISH,
) -> Iterator[str]:
    """What put each item among the candidates, the strongest evidence first. `places` in the
    shopper's scored items, which begin with `candidates`."""
    known = [at for at in places if at < candidates.ids.size]
    told = zip(
        candidates.features[known].tolist(),
        candidates.together_because[known].tolist(),
        candidates.following_because[known].tolist(),
        strict=True,
    )
    say = messages.say
    for at in places:
        if at >= candidates.ids.size:
            yield say("similar")
            continue
        features, together, following = next(told)
        if features[_TIMES_BOUGHT] > 0:
            yield _bought(features, messages)
        elif features[_IN_HISTORY] > 0:
            yield say("looked_at")
        elif together and features[_TOGETHER] > 0:
            yield say("together", item_at(together).title)
        elif following and features[_FOLLOWING] > 0:
            yield say("following", item_at(following).title)
        elif any(features[GENERATED:]):
            yield say("alike")
        else:
            category = item_at(int(candidates.ids[at])).category
            yield say("popular_in", category) if category else say("popular")


class Habit(NamedTuple):
    """`times` bought; about `days` between two purchases, 0 where nothing is known of it."""

    times: int
    days: float


def habit_of(features: Sequence[float]) -> Habit:
    """From a candidate's features [len(FEATURES)].

    The days are those since the last purchase, which `bought_recency` tells, by how often the gap
    has passed since, which is `due`.
    """
    times = round(math.expm1(features[_TIMES_BOUGHT]))
    due, recency = features[_DUE], features[_RECENCY]
    if times < HABIT or not 0 < due < KEPT_UP or not 0 < recency < 1:
        return Habit(times, 0.0)
    days = -30.0 * math.log(recency) / due
    return Habit(times, days if days <= LONGEST_DAYS else 0.0)


def _bought(features: Sequence[float], messages: Messages) -> str:
    times = round(math.expm1(features[_TIMES_BOUGHT]))
    if times == 1:
        return messages.say("bought_once")
    days = round(habit_of(features).days) if times >= HABIT else 0
    if days:
        return messages.say("bought_every", days) if days > 1 else messages.say("bought_daily")
    return messages.say("bought_times", times)
