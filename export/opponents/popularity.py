"""Opponents that count: what is popular, what this session holds, what this shopper buys again.

"Bought before" with a decay is hard to beat in groceries: Hu, He, Gao, Zhang: "Modeling
personalized item frequency information for next-basket recommendation", SIGIR 2020; Li, Jullien,
Ariannezhad, de Rijke: "A next basket recommendation reality check", TOIS 2023.
"""

import msgspec
import numpy as np

from endcap.arrays import IntArray
from endcap.candidates.scored import NOTHING, Scored, sum_by_id
from endcap.export.data.slates import Ranker
from endcap.export.opponents.opponent import Task, counted
from endcap.export.opponents.scored_slates import (
    Question,
    ScoredSlates,
    counts_of,
    most_popular,
)

_DAY_MS = 86_400_000.0
_NEWEST = (1.0, 0.3, 0.1, 0.03, 0.01)


class PopOptions(msgspec.Struct, frozen=True):
    """`newest`: the share of the newest training events that count."""

    newest: float = 1.0
    exclude_seen: bool = False


class PersonalPopOptions(msgspec.Struct, frozen=True):
    """An event `a` days old and `x` events back counts
    0.5 ** (a / `half_life_days` + x / `half_life_events`).

    A score is the share of the shopper's decayed counts plus `popularity` times the item's share of
    the `newest` training events.
    """

    half_life_days: float = 28.0
    half_life_events: float = 1e6
    popularity: float = 0.1
    newest: float = 1.0
    exclude_seen: bool = False


def fit_pop(task: Task, options: PopOptions) -> Ranker:
    """The most frequent items, the same for everybody."""
    popular = most_popular(counts_of(task.train, task.n_items, options.newest))
    return ScoredSlates(lambda _: NOTHING, popular, options.exclude_seen)


def fit_session_pop(task: Task, options: PopOptions) -> Ranker:
    """The items of the current session by count, then the newest; then what is popular."""
    popular = most_popular(counts_of(task.train, task.n_items, options.newest))
    return ScoredSlates(_session_counts, popular, options.exclude_seen)


def fit_personal_pop(task: Task, options: PersonalPopOptions) -> Ranker:
    """What the shopper had before by decayed count; then what is popular."""
    counts = counts_of(task.train, task.n_items, options.newest)
    popular = most_popular(counts)
    share = options.popularity * counts / max(counts.sum(), 1.0)
    loudest: IntArray = np.sort(popular[:200]) if options.popularity else popular[:0]

    def score(question: Question) -> Scored:
        back = np.arange(question.items.size - 1, -1, -1)
        days = (question.now_ms - question.times_ms).clip(0) / _DAY_MS
        weights = 0.5 ** (days / options.half_life_days + back / options.half_life_events)
        own = sum_by_id(question.items, weights / max(weights.sum(), 1e-300))
        ids = np.concatenate([own.ids, loudest])
        # A popular item among one's own gets its share once: with the first of its two entries.
        both = np.concatenate([own.scores + share[own.ids], share[loudest]])
        both[own.ids.size :][np.isin(loudest, own.ids)] = 0.0
        return sum_by_id(ids, both)

    return ScoredSlates(score, popular, options.exclude_seen)


def _session_counts(question: Question) -> Scored:
    if not question.items.size:
        return NOTHING
    items = question.items[question.sessions == question.sessions[-1]]
    # Recency is below 1 in sum over any item's events, so it only decides between equal counts.
    newest_last = np.arange(1, items.size + 1) / (items.size + 1.0) ** 2
    return sum_by_id(items, 1.0 + newest_last)


POP = counted("pop", "", PopOptions, fit_pop, {"newest": _NEWEST, "exclude_seen": (False, True)})
SESSION_POP = counted(
    "session-pop",
    "S-POP in Hidasi et al., ICLR 2016",
    PopOptions,
    fit_session_pop,
    {"newest": _NEWEST, "exclude_seen": (False, True)},
)
PERSONAL_POP = counted(
    "personal-pop",
    "after Hu et al., SIGIR 2020",
    PersonalPopOptions,
    fit_personal_pop,
    {
        "half_life_days": (28.0, 3.5, 7.0, 14.0, 60.0, 120.0, 1e6),
        "half_life_events": (1e6, 2.0, 5.0, 20.0, 100.0, 400.0),
        "popularity": (0.1, 0.0, 0.3, 1.0, 3.0),
        "newest": (1.0, 0.3, 0.1, 0.03),
        "exclude_seen": (False, True),
    },
)
