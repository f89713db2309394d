"""How sure rates and uplifts are, by shopper.

Showings to one shopper resemble each other, and the experiment draws shoppers, not showings: a
rate is a ratio of two sums over shoppers, and its error comes by the delta method from how the
shoppers differ (Deng, Knoblich & Lu, KDD 2018). The plain formula over showings is too narrow:
on the simulated truth of `simulation.py` it calls a third of all A/A runs a success.
"""

import math
from typing import NamedTuple

import numpy as np

from endcap.arrays import DoubleArray

Z = 1.959964
"""Of the normal distribution, 95 % lie within so many standard deviations."""


class Counted(NamedTuple):
    """Of each shopper of a variant [G]: how often it happened, and how often it could have."""

    happened: DoubleArray
    chances: DoubleArray


class Rate(NamedTuple):
    """A ratio of sums with its 95 % bounds."""

    value: float
    low: float
    high: float


class Uplift(NamedTuple):
    """A variant's rate over the control's, less 1, with 95 % bounds; `p_value` of no difference."""

    value: float
    low: float
    high: float
    p_value: float

    @property
    def is_certain(self) -> bool:
        """Whether the bounds leave 0 out."""
        return self.low > 0 or self.high < 0


def rate_of(counted: Counted) -> Rate | None:
    """None where it could not happen; bounds from 0 to 1 where nothing tells how sure it is."""
    whole = float(counted.chances.sum())
    if not whole:
        return None
    value = float(counted.happened.sum()) / whole
    error = _error(counted, value)
    if not math.isfinite(error):
        return Rate(value, 0.0, 1.0)
    # Where all are equal the error says 0; the rule of three gives the free side its 3 / G.
    margin = Z * error if error else 3 / counted.chances.size
    return Rate(value, max(0.0, value - margin), min(1.0, value + margin))


def uplift_of(treated: Counted, control: Counted) -> Uplift | None:
    """None where either rate is 0 or not known.

    On the scale of logarithms, where the bounds of a ratio are symmetric: a loss of all is as far
    as a gain without end.
    """
    ours, theirs = rate_of(treated), rate_of(control)
    if ours is None or theirs is None or not ours.value or not theirs.value:
        return None
    gap = math.log(ours.value / theirs.value)
    error = math.hypot(
        _error(treated, ours.value) / ours.value, _error(control, theirs.value) / theirs.value
    )
    if not error or not math.isfinite(error):
        return None
    return Uplift(
        math.expm1(gap),
        math.expm1(gap - Z * error),
        # Past e^700 no float reaches.
        math.expm1(min(700.0, gap + Z * error)),
        math.erfc(abs(gap) / error / math.sqrt(2)),
    )


def _error(counted: Counted, rate: float) -> float:
    """Standard error of a ratio of sums over shoppers; without end for one shopper alone."""
    residuals = counted.happened - rate * counted.chances
    n = int(np.count_nonzero(counted.chances))
    if n < 2:
        return math.inf
    variance = float(residuals @ residuals) * n / (n - 1)
    return math.sqrt(variance) / float(counted.chances.sum())
