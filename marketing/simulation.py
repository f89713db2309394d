"""A made-up shop whose campaigns' true effects are known: do the estimates find them?"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from endcap.arrays import FloatArray
from endcap.marketing.nuisances import cross_fitted, doubly_robust
from endcap.marketing.qini import household_weights, interval_of, places_within, qini
from endcap.marketing.uplift import Lesson, fit_response, fit_x_learner


class Made(NamedTuple):
    """`x` [N, 6]; `effect` [N]: the truth in dollars."""

    x: FloatArray
    addressed: NDArray[np.int8]
    outcome: FloatArray
    effect: FloatArray
    household: NDArray[np.int64]


def made_up(size: int, seed: int) -> Made:
    """Who buys much is addressed more often and spends more anyway, but is moved less.

    So the plain difference of the arms is far too high, and who would respond best is the wrong
    one to address: what targeting by response does.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 6))
    addressed = (rng.random(size) < 1 / (1 + np.exp(0.8 - 0.9 * x[:, 0]))).astype(np.int8)
    effect = 4 - 3 * np.tanh(x[:, 0]) + 2 * x[:, 1]
    outcome = 40 + 15 * x[:, 0] + 5 * x[:, 2] + effect * addressed + rng.normal(0, 12, size)
    return Made(x.astype(np.float32), addressed, outcome, effect, np.arange(size))


def selftest(seed: int = 1, size: int = 6000) -> dict[str, Any]:
    """Learn from one shop and judge on another; every figure beside its truth."""
    taught, met = made_up(size, seed), made_up(size, seed + 1)
    lesson = Lesson(
        taught.x,
        taught.addressed,
        taught.outcome,
        cross_fitted(taught.x, taught.addressed, taught.outcome, taught.household),
    )
    found = cross_fitted(met.x, met.addressed, met.outcome, met.household)
    kept = found.overlapping
    effects = doubly_robust(found, met.addressed, met.outcome)[kept]
    truth = met.effect[kept]
    weights = household_weights(met.household[kept])
    one = np.zeros(int(kept.sum()), np.int64)
    rankings = {
        "uplift": fit_x_learner(lesson)(met.x)[kept],
        "response": fit_response(lesson)(met.x)[kept],
        "oracle": truth,
    }
    places = {name: places_within(scores, one) for name, scores in rankings.items()}
    average = interval_of(float(effects.mean()), weights @ effects / weights.sum(axis=1))
    sent = met.addressed == 1
    gains = {
        name: interval_of(
            qini(effects, each), np.array([qini(effects, each, row) for row in weights])
        )
        for name, each in places.items()
    }
    true_gains = {name: qini(truth, each) for name, each in places.items()}
    covered = all(gains[name].low <= true_gains[name] <= gains[name].high for name in gains)
    return {
        "true_average_effect": round(float(truth.mean()), 4),
        "average_effect": [round(each, 4) for each in average],
        "naive_difference": round(float(met.outcome[sent].mean() - met.outcome[~sent].mean()), 4),
        "true_qini": {name: round(value, 4) for name, value in true_gains.items()},
        "qini": {name: [round(each, 4) for each in gain] for name, gain in gains.items()},
        "finds_average": bool(average.low <= truth.mean() <= average.high),
        "finds_qini": bool(covered),
        "beats_response": bool(true_gains["uplift"] > true_gains["response"]),
    }
