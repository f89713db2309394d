"""A truth that is known, for the report to find: does it see an uplift, and only where one is?

Shoppers differ in how often they come (few come often) and in how readily they click, and whoever
clicks buys more readily: showings to one shopper resemble each other, as in a shop.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from endcap.arrays import DoubleArray
from endcap.experiments.assignment import variant_of
from endcap.experiments.counting import Found, Shoppers
from endcap.experiments.definition import Experiment, Variant
from endcap.experiments.intervals import Counted
from endcap.experiments.report import Report, report_of

ALPHA = 0.05
TRUE_UPLIFT = 0.05
_CLICKS, _ALIKE = 0.1, 6.0
"""The mean rate of clicks, and how alike shoppers are in it: the sum of a beta's two parameters."""
_VISITS, _STEADY = 9.0, 0.7
"""Mean showings after the first one, and the shape of the gamma that they follow."""
_BUYS, _BUYS_A_CLICK = 0.04, 0.4


class Sizes(NamedTuple):
    """How much is simulated."""

    runs: int = 200
    shoppers: int = 10_000
    uplift_shoppers: int = 150_000


def selftest(seed: int, sizes: Sizes) -> dict[str, Any]:
    """A/A runs and one run with a true uplift, through the assignment and the report of every day.

    `aa_false_positive_rate`: the share of A/A runs whose 95 % interval of click-through leaves 0
    out. `aa_false_positive_rate_naive`: the same by showings, as if each were a shopper.
    """
    rng = np.random.default_rng(seed)
    false = {"click_through": 0, "conversion": 0, "naive": 0, "mismatch": 0}
    for run in range(sizes.runs):
        report, by_showing = _simulated(rng, f"aa-{seed}-{run}", sizes.shoppers, 0.0)
        uplifts = report.variants[1].uplifts
        for measure in ("click_through", "conversion"):
            uplift = uplifts[measure]
            false[measure] += uplift is not None and uplift.p_value < ALPHA
        false["naive"] += by_showing < ALPHA
        false["mismatch"] += not report.sample_ratio.is_sound
    report, _ = _simulated(rng, f"ab-{seed}", sizes.uplift_shoppers, TRUE_UPLIFT)
    seen = report.variants[1].uplifts["click_through"]
    return {
        "aa_runs": sizes.runs,
        "aa_false_positive_rate": false["click_through"] / sizes.runs,
        "aa_false_positive_rate_conversion": false["conversion"] / sizes.runs,
        "aa_false_positive_rate_naive": false["naive"] / sizes.runs,
        "aa_sample_ratio_alarms": false["mismatch"],
        "true_uplift": TRUE_UPLIFT,
        "detected_true_uplift": seen is not None and seen.low > 0,
        "uplift": None if seen is None else seen._asdict(),
        "interval_holds_true_uplift": seen is not None and seen.low <= TRUE_UPLIFT <= seen.high,
        "shoppers": {"aa": sizes.shoppers, "uplift": sizes.uplift_shoppers},
        "alpha": ALPHA,
        "seed": seed,
    }


def _simulated(
    rng: np.random.Generator, name: str, shoppers: int, uplift: float
) -> tuple[Report, float]:
    """The report, and the p of click-through by the plain test over showings."""
    experiment = Experiment(
        name,
        "2026-01-01",
        "2026-02-01",
        (Variant("control", 0.5), Variant("treated", 0.5)),
    )
    drawn = [variant_of(experiment, f"shopper-{number}") for number in range(shoppers)]
    treated = np.array([variant == "treated" for variant in drawn])
    shown = 1 + rng.poisson(rng.gamma(_STEADY, _VISITS / _STEADY, shoppers))
    readiness = rng.beta(_CLICKS * _ALIKE, (1 - _CLICKS) * _ALIKE, shoppers)
    readiness *= np.where(treated, 1 + uplift, 1.0)
    clicked = rng.binomial(shown, np.minimum(1.0, readiness))
    bought = rng.random(shoppers) < np.minimum(1.0, _BUYS + _BUYS_A_CLICK * readiness)
    found = Found(
        {
            variant: Shoppers(
                Counted(_floats(clicked[chosen]), _floats(shown[chosen])),
                Counted(_floats(bought[chosen]), np.ones(int(chosen.sum()))),
            )
            for variant, chosen in (("control", ~treated), ("treated", treated))
        },
        {},
    )
    report = report_of(experiment, found, experiment.end_ms)
    return report, _by_showing(report)


def _by_showing(report: Report) -> float:
    control, treated = report.variants
    rate = (control.clicks + treated.clicks) / (control.exposures + treated.exposures)
    error = math.sqrt(rate * (1 - rate) * (1 / control.exposures + 1 / treated.exposures))
    gap = treated.clicks / treated.exposures - control.clicks / control.exposures
    return math.erfc(abs(gap) / error / math.sqrt(2)) if error else 1.0


def _floats(values: Any) -> DoubleArray:
    return np.asarray(values, dtype=np.float64)
