"""How much a ranking gains over chance: Qini curves of doubly robust scores, with intervals.

The curve at a share f of the shoppers is the gain, per shopper of the whole population, of
addressing the first f by the ranking; its coefficient the area between it and the line of a random
choice (Radcliffe, 2007; with doubly robust scores for what was not randomised: Yadlowsky et al.,
2025, JASA 120(549), "Evaluating Treatment Prioritization Rules", the QINI weighting).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from endcap.marketing.arrays import Floats

RESAMPLES = 500
POINTS = 101


class Interval(NamedTuple):
    """95 %, percentile bootstrap over households: all campaigns of one come and go together."""

    value: float
    low: float
    high: float


def places_within(scores: Floats, groups: NDArray[np.int64]) -> Floats:
    """Each row's place in its group by falling score, as a share in (0, 1): a budget is a
    campaign's own, so shoppers are ranked within it. Ties are broken by a fixed shuffle.

    >>> places_within(np.array([3.0, 9.0, 1.0]), np.array([0, 0, 0])).tolist()
    [0.5, 0.16666666666666666, 0.8333333333333334]
    """
    chance = np.random.default_rng(0).permutation(len(scores))
    order = np.lexsort((chance, -scores, groups))
    sorted_groups = groups[order]
    starts = np.flatnonzero(np.r_[True, sorted_groups[1:] != sorted_groups[:-1]])
    sizes = np.diff(np.r_[starts, len(order)])
    within = np.arange(len(order)) - np.repeat(starts, sizes)
    places = np.empty(len(scores))
    places[order] = (within + 0.5) / np.repeat(sizes, sizes)
    return places


def qini(effects: Floats, places: Floats, weights: Floats | None = None) -> float:
    """The coefficient: mean of effect times (1 - place), less what chance gains, in the effect's
    unit per shopper. `weights` [N]: how often a row counts.

    >>> round(qini(np.array([4.0, 0.0]), np.array([0.25, 0.75])), 3)
    0.5
    """
    counts = np.ones(len(effects)) if weights is None else weights
    gained = np.average(effects * (1 - places), weights=counts)
    by_chance = np.average(effects, weights=counts) * np.average(1 - places, weights=counts)
    return float(gained - by_chance)


def curve(effects: Floats, places: Floats) -> Floats:
    """Gains [POINTS] at shares 0, 0.01, ..., 1."""
    order = np.argsort(places, kind="stable")
    summed = np.r_[0.0, np.cumsum(effects[order])] / len(effects)
    shares = np.r_[0.0, np.arange(1, len(effects) + 1) / len(effects)]
    return np.asarray(np.interp(np.linspace(0, 1, POINTS), shares, summed))


def household_weights(
    household: NDArray[np.int64], resamples: int = RESAMPLES, seed: int = 1
) -> Floats:
    """How often each row counts in each resample [resamples, N]."""
    _, which = np.unique(household, return_inverse=True)
    number = int(which.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(
        number, np.full(number, 1 / number), size=resamples
    )
    return np.asarray(drawn[:, which], np.float64)


def interval_of(value: float, drawn: Floats) -> Interval:
    """A value with the middle 95 % of its resamples."""
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(float(value), float(low), float(high))
