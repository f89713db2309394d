"""Opponents by item: item-kNN and co-visitation, from endcap's own indexes."""

import msgspec
import numpy as np

from endcap.candidates.item_knn import ItemKnn, build_item_knn
from endcap.candidates.neighbours import Spoken, neighbour_scores
from endcap.candidates.scored import Scored, sum_by_id
from endcap.candidates.transitions import Transitions, build_transitions
from endcap.export.data.slates import Ranker
from endcap.export.opponents.grouped_events import UNITS, Unit, grouped
from endcap.export.opponents.opponent import Task, counted
from endcap.export.opponents.scored_slates import (
    Question,
    ScoredSlates,
    counts_of,
    most_popular,
)


class ItemKnnOptions(msgspec.Struct, frozen=True):
    """As in `endcap.candidates.item_knn` and `Spoken`."""

    unit: Unit = "sequence"
    power: float = 0.5
    shrink: float = 10.0
    keep: int = 100
    length: int = 10
    decay: float = 0.7
    own: float = 0.0
    exclude_seen: bool = False


class CoVisitationOptions(msgspec.Struct, frozen=True):
    """As in `endcap.candidates.transitions` and `Spoken`: `step_decay` a place between two items,
    `decay` an event back in the history; `before` weighs what preceded an item against what
    followed it."""

    unit: Unit = "sequence"
    window: int = 5
    step_decay: float = 0.6
    popularity: float = 0.0
    shrink: float = 2.0
    keep: int = 100
    length: int = 10
    decay: float = 0.7
    before: float = 0.5
    exclude_seen: bool = False


def fit_item_knn(task: Task, options: ItemKnnOptions) -> Ranker:
    """Cosine neighbours of the newest items."""
    events = grouped(task.train, options.unit)
    settings = ItemKnn(options.power, options.shrink, keep=options.keep)
    neighbours = build_item_knn(events.items, events.groups, task.n_items, settings)
    spoken = Spoken(options.length, options.decay, options.own)

    def score(question: Question) -> Scored:
        return neighbour_scores(question.items, neighbours, spoken)

    popular = most_popular(counts_of(task.train, task.n_items))
    return ScoredSlates(score, popular, options.exclude_seen)


def fit_co_visitation(task: Task, options: CoVisitationOptions) -> Ranker:
    """What followed the newest items, and what preceded them."""
    events = grouped(task.train, options.unit)
    settings = Transitions(
        options.window, options.step_decay, options.popularity, options.shrink, options.keep
    )
    both = build_transitions(events.items, events.groups, task.n_items, settings)
    spoken = Spoken(options.length, options.decay)

    def score(question: Question) -> Scored:
        after = neighbour_scores(question.items, both.following, spoken)
        if not options.before:
            return after
        before = neighbour_scores(question.items, both.preceding, spoken)
        return sum_by_id(
            np.concatenate([after.ids, before.ids]),
            np.concatenate([after.scores, options.before * before.scores]),
        )

    popular = most_popular(counts_of(task.train, task.n_items))
    return ScoredSlates(score, popular, options.exclude_seen)


ITEM_KNN = counted(
    "item-knn",
    "Sarwar et al., WWW 2001",
    ItemKnnOptions,
    fit_item_knn,
    {
        "unit": UNITS,
        "power": (0.5, 0.35, 0.65, 0.8),
        "shrink": (10.0, 0.0, 1.0, 3.0, 30.0),
        "keep": (100, 30, 300),
        "length": (10, 1, 3, 30, 100, 300),
        "decay": (0.7, 0.3, 0.5, 0.85, 0.95, 0.99),
        "own": (0.0, 0.03, 0.1, 0.3, 1.0),
        "exclude_seen": (False, True),
    },
)
CO_VISITATION = counted(
    "co-visitation",
    "",
    CoVisitationOptions,
    fit_co_visitation,
    {
        "unit": UNITS,
        "window": (5, 1, 2, 10, 20),
        "step_decay": (0.6, 0.3, 0.8, 0.95),
        "popularity": (0.0, 0.2, 0.4),
        "shrink": (2.0, 0.0, 0.5, 10.0, 50.0),
        "keep": (100, 30, 300),
        "length": (10, 1, 3, 30, 100, 300),
        "decay": (0.7, 0.3, 0.5, 0.85, 0.95, 0.99),
        "before": (0.5, 0.0, 0.25, 1.0),
        "exclude_seen": (False, True),
    },
)
