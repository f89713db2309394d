"""What a campaign brought: those whom it addressed against those whom the lot left alone.

The lot is the whole of the evidence: no model, no controls. Spend is skewed and a holdout small:
there the t interval finds uplifts that are none. So the interval is of a studentised permutation
test (Chung & Romano, Annals of Statistics 41(2), 2013, "Exact and asymptotically robust permutation
tests"): exact where everybody is moved alike, and right in the limit where they are not.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from endcap.errors import DataError
from endcap.experiments.sample_ratio import SampleRatio, sample_ratio
from endcap.marketing.arrays import Floats

PERMUTATIONS = 999
LEAST_IN_GROUP = 30
"""Smaller groups are told together, as `OTHERS`."""
OTHERS = "others"
THIRDS = ("low", "middle", "high")
FEW_BUYERS = 30
_AT_ONCE = 2_000_000
"""Numbers drawn at once: 16 MB."""


class Outcomes(NamedTuple):
    """Everybody who was chosen [N]: `expected`, the uplift that the plan stated; `spend` since they
    were planned; `segment`, as it was then."""

    is_held_out: NDArray[np.bool_]
    expected: Floats
    spend: Floats
    orders: NDArray[np.int64]
    segment: NDArray[np.str_]


class Achieved(NamedTuple):
    """Further spend of one addressed shopper, with its 95 % bounds; infinite where an arm has fewer
    than two shoppers, or nobody bought."""

    value: float
    low: float
    high: float


def result_of(found: Outcomes) -> dict[str, Any]:
    """Expected and achieved uplift of all, by segment, and by thirds of what was expected.

    Money is per shopper, but for `total`: of all who were addressed.

    Raises:
        DataError: nobody was held out, nobody was addressed, or nobody has bought anything.
    """
    held = found.is_held_out
    if not held.any():
        raise DataError(
            "Nobody was left alone, so nobody can say what it brought. Give the next campaign a "
            "holdout in campaigns.yaml."
        )
    if held.all():
        raise DataError("All of it was left alone: nobody was addressed. Lower its holdout.")
    if not found.orders.any():
        raise DataError(
            f"None of the {len(held):,} shoppers has bought anything since: there is nothing to "
            "compare yet. Look again when they have."
        )
    everybody = np.ones(len(held), bool)
    whole = _row(found, everybody)
    addressed = int((~held).sum())
    return whole | {
        "buyers": {
            "addressed": int((found.orders[~held] > 0).sum()),
            "held_out": int((found.orders[held] > 0).sum()),
        },
        "spend": {
            "addressed": round(float(found.spend[~held].mean()), 4),
            "held_out": round(float(found.spend[held].mean()), 4),
        },
        "total": {
            "expected": round(float(found.expected[~held].sum()), 2),
            "achieved": round(addressed * whole["achieved"], 2),
            "interval": whole["interval"]
            and [round(addressed * each, 2) for each in whole["interval"]],
        },
        "segments": _by(found, "segment", _joined(found.segment)),
        "by_expected": _by(found, "expected_uplift", _thirds(found.expected)),
    }


def achieved(addressed: Floats, held_out: Floats, seed: int = 1) -> Achieved:
    """The difference of the means, and its interval.

    >>> achieved(np.array([2.0]), np.array([1.0, 1.0]))
    Achieved(value=1.0, low=-inf, high=inf)
    """
    gap, error = _gap(addressed, held_out)
    if not error:
        return Achieved(gap, -np.inf, np.inf)
    # Without the effect the arms are alike: then a lot drawn anew tells what chance does.
    both = np.r_[addressed - gap, held_out]
    low, high = np.percentile(_drawn_anew(both, len(held_out), seed), [2.5, 97.5])
    return Achieved(gap, float(gap - high * error), float(gap - low * error))


def lot(is_held_out: NDArray[np.bool_], share: float) -> SampleRatio:
    """Whether as many were held out as the share says."""
    held = int(is_held_out.sum())
    return sample_ratio([held, len(is_held_out) - held], [share, 1 - share])


def _gap(addressed: Floats, held_out: Floats) -> tuple[float, float]:
    """The difference of the means, and its standard error; 0 where nothing tells it."""
    gap = float(addressed.mean() - held_out.mean())
    if len(addressed) < 2 or len(held_out) < 2:
        return gap, 0.0
    variances = addressed.var(ddof=1) / len(addressed) + held_out.var(ddof=1) / len(held_out)
    return gap, float(np.sqrt(variances))


def _drawn_anew(both: Floats, held: int, seed: int) -> Floats:
    """Differences over their errors [PERMUTATIONS], of lots that mean nothing."""
    rng, size = np.random.default_rng(seed), len(both)
    treated = size - held
    values = np.asarray(both, np.float64)
    sums, squares = values.sum(), (values * values).sum()
    found: list[Floats] = []
    for first in range(0, PERMUTATIONS, step := max(1, _AT_ONCE // size)):
        rows = min(step, PERMUTATIONS - first)
        drawn = np.argpartition(rng.random((rows, size)), held - 1, axis=1)[:, :held]
        left = values[drawn]
        left_sum, left_squares = left.sum(axis=1), (left * left).sum(axis=1)
        sent_sum, sent_squares = sums - left_sum, squares - left_squares
        left_error = (left_squares - left_sum**2 / held) / (held - 1) / held
        sent_error = (sent_squares - sent_sum**2 / treated) / (treated - 1) / treated
        error = np.sqrt(np.maximum(left_error + sent_error, np.finfo(float).tiny))
        found.append((sent_sum / treated - left_sum / held) / error)
    return np.concatenate(found)


def _row(found: Outcomes, rows: NDArray[np.bool_]) -> dict[str, Any]:
    held = found.is_held_out[rows]
    spend = found.spend[rows]
    told: dict[str, Any] = {
        "addressed": int((~held).sum()),
        "held_out": int(held.sum()),
        "expected": round(float(found.expected[rows].mean()), 4),
        "achieved": None,
        "interval": None,
    }
    if held.any() and not held.all():
        gain = achieved(spend[~held], spend[held])
        told["achieved"] = round(gain.value, 4)
        if np.isfinite(gain.low):
            told["interval"] = [round(gain.low, 4), round(gain.high, 4)]
    return told


def _by(found: Outcomes, kind: str, names: NDArray[np.str_]) -> list[dict[str, Any]]:
    order = list(THIRDS) if kind == "expected_uplift" else sorted(set(names.tolist()))
    return [{kind: name} | _row(found, names == name) for name in order if (names == name).any()]


def _joined(segment: NDArray[np.str_]) -> NDArray[np.str_]:
    names, counts = np.unique(segment, return_counts=True)
    small = names[counts < LEAST_IN_GROUP]
    return np.array(
        [OTHERS if each in small or not each else each for each in segment.tolist()], np.str_
    )


def _thirds(expected: Floats) -> NDArray[np.str_]:
    """By rank: whom the plan expected little, more and most of. Equals fall into one third."""
    bounds = np.percentile(expected, [100 / 3, 200 / 3])
    return np.array(THIRDS)[np.searchsorted(bounds, expected, side="left")]
