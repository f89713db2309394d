"""Models of uplift: how much more somebody spends because of being addressed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from endcap.marketing.arrays import Floats
from endcap.marketing.nuisances import Nuisances, classifier, doubly_robust, regressor

Predict = Callable[[Floats], Floats]
"""Values [N], higher first, of rows [N, F]."""


class Lesson(NamedTuple):
    """What uplift is learned from. `found`: estimates for these rows, cross-fitted by household."""

    x: Floats
    addressed: NDArray[np.int8]
    outcome: Floats
    found: Nuisances


def fit_response(lesson: Lesson) -> Predict:
    """Not uplift: what those who were addressed spent. The usual way, and the opponent here."""
    sent = lesson.addressed == 1
    return _predict(regressor().fit(lesson.x[sent], lesson.outcome[sent]))


def fit_t_learner(lesson: Lesson) -> Predict:
    """The difference of two models of the outcome, one an arm (Künzel et al., 2019, p. 4157)."""
    sent, left = (
        regressor().fit(lesson.x[lesson.addressed == arm], lesson.outcome[lesson.addressed == arm])
        for arm in (1, 0)
    )
    return lambda rows: np.asarray(sent.predict(rows) - left.predict(rows))


def fit_x_learner(lesson: Lesson) -> Predict:
    """Each arm's imputed effects, weighted by the chance of being addressed (Künzel et al., 2019,
    PNAS 116(10), p. 4157)."""
    x, outcome, found = lesson.x, lesson.outcome, lesson.found
    sent, left = lesson.addressed == 1, lesson.addressed == 0
    on_sent = regressor().fit(x[sent], (outcome - found.mu0)[sent])
    on_left = regressor().fit(x[left], (found.mu1 - outcome)[left])
    chance = classifier().fit(x, lesson.addressed)

    def predict(rows: Floats) -> Floats:
        e = chance.predict_proba(rows)[:, 1]
        return np.asarray(e * on_left.predict(rows) + (1 - e) * on_sent.predict(rows))

    return predict


def fit_dr_trees(lesson: Lesson) -> Predict:
    """A regression of doubly robust scores on what is known (Kennedy, 2023, Electronic Journal of
    Statistics 17(2)), by boosted trees."""
    return _dr_learner(regressor(), lesson)


def fit_dr_line(lesson: Lesson) -> Predict:
    """The same by ridge regression, whose strength leave-one-out chooses."""
    return _dr_learner(make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 6, 13))), lesson)


LEARNERS: dict[str, Callable[[Lesson], Predict]] = {
    "t_learner": fit_t_learner,
    "x_learner": fit_x_learner,
    "dr_trees": fit_dr_trees,
    "dr_line": fit_dr_line,
}


def _dr_learner(model: Any, lesson: Lesson) -> Predict:
    rows = lesson.found.overlapping
    scores = doubly_robust(lesson.found, lesson.addressed, lesson.outcome)
    return _predict(model.fit(lesson.x[rows], scores[rows]))


def _predict(model: Any) -> Predict:
    return lambda rows: np.asarray(model.predict(rows))
