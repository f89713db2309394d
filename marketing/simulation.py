"""A made-up shop whose campaigns' true effects are known: do the estimates find them?"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from endcap.marketing.arrays import Floats
from endcap.marketing.nuisances import cross_fitted, doubly_robust
from endcap.marketing.qini import household_weights, interval_of, places_within, qini
from endcap.marketing.uplift import Lesson, fit_response, fit_x_learner

LEAST_COVERED = 0.85
"""Of intervals meant to hold the truth in 95 of 100; in 20 runs chance alone may give 88."""
_BIAS = 0.5
"""Dollars, of an average effect of 4."""


class Made(NamedTuple):
    """`x` [N, 6]; `effect` [N]: the truth in dollars."""

    x: Floats
    addressed: NDArray[np.int8]
    outcome: Floats
    effect: Floats
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


def selftest(seed: int = 1, runs: int = 20, size: int = 3000) -> dict[str, Any]:
    """Judge `runs` shops by the estimates, and learn uplift on one: every figure beside its truth.

    `covered`: how often an interval of 95 % holds the truth: of the average effect, and of the Qini
    of two rankings, by the true effect and by who buys most.
    """
    shops = [_judged(made_up(size, seed + run)) for run in range(runs)]
    gains = _learned(seed + runs, 2 * size)
    naive, errors = (np.array([shop[name] for shop in shops]) for name in ("naive", "error"))
    covered = np.array([shop["covered"] for shop in shops])
    return {
        "runs": runs,
        "naive_error": round(float(naive.mean()), 4),
        "error": round(float(errors.mean()), 4),
        "covered": round(float(covered.mean()), 4),
        "true_qini": gains,
        "finds_truth": bool(covered.mean() >= LEAST_COVERED and abs(errors.mean()) < _BIAS),
        "beats_response": gains["uplift"] > max(0.0, gains["response"]),
    }


def _judged(shop: Made) -> dict[str, Any]:
    found = cross_fitted(shop.x, shop.addressed, shop.outcome, shop.household)
    kept = found.overlapping
    effects = doubly_robust(found, shop.addressed, shop.outcome)[kept]
    truth, weights = shop.effect[kept], household_weights(shop.household[kept])
    average = interval_of(float(effects.mean()), weights @ effects / weights.sum(axis=1))
    covered = [average.low <= truth.mean() <= average.high]
    for ranking in (truth, shop.x[kept, 0]):
        places = places_within(ranking, np.zeros(len(truth), np.int64))
        drawn = np.array([qini(effects, places, row) for row in weights])
        gain = interval_of(qini(effects, places), drawn)
        covered.append(gain.low <= qini(truth, places) <= gain.high)
    sent = shop.addressed == 1
    return {
        "naive": shop.outcome[sent].mean() - shop.outcome[~sent].mean() - shop.effect.mean(),
        "error": average.value - truth.mean(),
        "covered": np.mean(covered),
    }


def _learned(seed: int, size: int) -> dict[str, float]:
    taught, met = made_up(size, seed), made_up(size, seed + 1)
    found = cross_fitted(taught.x, taught.addressed, taught.outcome, taught.household)
    lesson = Lesson(taught.x, taught.addressed, taught.outcome, found)
    rankings = {
        "uplift": fit_x_learner(lesson)(met.x),
        "response": fit_response(lesson)(met.x),
        "best": met.effect,
    }
    one = np.zeros(size, np.int64)
    return {
        name: round(qini(met.effect, places_within(scores, one)), 4)
        for name, scores in rankings.items()
    }
