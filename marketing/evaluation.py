"""Does uplift choose better than response? Judged on campaigns that came later.

Complete Journey's shop chose whom to address; nobody drew lots. Effects are therefore estimated by
doubly robust scores from what was known on the eve of each campaign, and two controls show what
confounding is left: an effect before the campaign, and one on goods that it had no coupons for.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import GroupKFold

from endcap.errors import DataError
from endcap.marketing.arrays import Floats
from endcap.marketing.completejourney import Campaign, Journey, day_of
from endcap.marketing.nuisances import Nuisances, cross_fitted, doubly_robust
from endcap.marketing.panel import FEATURES, WINDOW, Panel, judged_campaigns, panel_of
from endcap.marketing.qini import (
    Interval,
    curve,
    household_weights,
    interval_of,
    places_within,
    qini,
)
from endcap.marketing.uplift import LEARNERS, Lesson, fit_response

JUDGED_FROM = date(2017, 8, 8)
"""The first judged campaign begins; what is learned from has ended by then."""
CHOOSING_FOLDS = 3
Says = Callable[[str], None]
MoreFeatures = Callable[[Panel], Floats]
"""Further columns [N, *] for the rows of a panel."""


class Split(NamedTuple):
    """Campaigns to learn from, and later ones to judge by."""

    learned: Sequence[Campaign]
    judged: Sequence[Campaign]


class Judged(NamedTuple):
    """The judged rows that have a counterpart in the other arm.

    `effects` [N]: doubly robust scores in dollars of `outcomes` [N]; `predicted`, `places` [N]: by
    ranking; `learner`: the uplift model, chosen by `choosing`, its Qini on the learned campaigns;
    `kept`: the share of all rows that these are.
    """

    panel: Panel
    found: Nuisances
    outcomes: Floats
    effects: Floats
    predicted: dict[str, Floats]
    places: dict[str, Floats]
    learner: str
    choosing: dict[str, float]
    kept: float


def split_of(journey: Journey) -> Split:
    """By time. A campaign whose outcome was still being counted when the first judged one began is
    in neither: its outcome would tell of theirs.

    Raises:
        DataError: one side has no campaign.
    """
    cut, usable = day_of(JUDGED_FROM), judged_campaigns(journey)
    split = Split(
        [each for each in usable if each.start + WINDOW <= cut],
        [each for each in usable if each.start >= cut],
    )
    if not split.learned or not split.judged:
        raise DataError(
            f"There must be campaigns before and after {JUDGED_FROM}, each with addressed shoppers "
            f"and {WINDOW} days of purchases behind it."
        )
    return split


def judge(
    journey: Journey,
    split: Split,
    outcome: str = "promoted",
    more: MoreFeatures | None = None,
    says: Says = lambda _: None,
) -> Judged:
    """Learn from the earlier campaigns, rank shoppers within the later ones.

    `outcome`: the panel's column, `promoted` or `total`. `more` widens what is known for the
    learners alone: effects are always estimated from the same columns, so that two runs can be
    compared.
    """
    learned, judged = panel_of(journey, split.learned), panel_of(journey, split.judged)
    lesson = _lesson(learned, outcome, more)
    says("Effects on the learned campaigns are estimated; learners compete on them.")
    choosing = _choose(lesson, learned)
    learner = max(choosing, key=lambda name: choosing[name])
    y = getattr(judged, outcome).astype(np.float64)
    found = cross_fitted(judged.x, judged.addressed, y, judged.household)
    kept = found.overlapping
    effects = doubly_robust(found, judged.addressed, y)[kept]
    x = _wide(judged, more)
    says(f"{learner} was best there; it and its opponents rank the judged campaigns' shoppers.")
    predicted = {name: fit(lesson)(x)[kept] for name, fit in LEARNERS.items()}
    predicted["uplift"] = predicted[learner]
    predicted["response"] = fit_response(lesson)(x)[kept]
    for name, column in (("spent_most", "spend_28"), ("bought_promoted", "promoted_56")):
        predicted[name] = judged.x[kept, FEATURES.index(column)].astype(np.float64)
    panel = judged.rows(kept)
    places = {name: places_within(each, panel.campaign) for name, each in predicted.items()}
    return Judged(
        panel,
        Nuisances(*(each[kept] for each in found)),
        y[kept],
        effects,
        predicted,
        places,
        learner,
        choosing,
        float(kept.mean()),
    )


BASELINES = ("response", "spent_most", "bought_promoted")


def figures(judged: Judged) -> dict[str, Any]:
    """Qini coefficients in dollars per shopper and campaign, with intervals; random is 0."""
    weights = household_weights(judged.panel.household)
    drawn = {
        name: np.array([qini(judged.effects, places, row) for row in weights])
        for name, places in judged.places.items()
    }
    values = {name: qini(judged.effects, places) for name, places in judged.places.items()}
    best = max(BASELINES, key=lambda name: values[name])
    average = weights @ judged.effects / weights.sum(axis=1)
    difference = drawn["uplift"] - drawn[best]
    return {
        "qini": round(values["uplift"], 4),
        "baseline_qini": round(values[best], 4),
        "interval": _rounded(interval_of(values["uplift"], drawn["uplift"]))[1:],
        "best_baseline": best,
        "baselines": {"random": 0.0} | {name: round(values[name], 4) for name in BASELINES},
        "baseline_intervals": {
            name: _rounded(interval_of(values[name], drawn[name]))[1:] for name in BASELINES
        },
        "over_baseline": _rounded(interval_of(values["uplift"] - values[best], difference)),
        "learner": judged.learner,
        "learners": {name: round(values[name], 4) for name in LEARNERS},
        "learners_on_learned_campaigns": {
            name: round(value, 4) for name, value in judged.choosing.items()
        },
        "average_effect": _rounded(interval_of(float(judged.effects.mean()), average)),
        "naive_difference": round(_naive(judged), 4),
        "shoppers_and_campaigns": len(judged.effects),
        "left_out_without_counterpart": round(1 - judged.kept, 4),
    }


def curves(judged: Judged) -> dict[str, list[float]]:
    """Gains at shares 0, 0.01, ..., 1 of the shoppers, in dollars per shopper."""
    names = ("uplift", "response", "spent_most")
    return {
        name: [round(float(v), 4) for v in curve(judged.effects, judged.places[name])]
        for name in names
    }


def controls(journey: Journey, split: Split) -> dict[str, Any]:
    """Effects where there can be none, estimated in the same way; what is found is confounding.

    `before`: in the window before the campaign, from what was known ahead of that window.
    `other_goods`: on everything that the coupons were not for, in campaigns of type B and C.
    """
    before = panel_of(journey, split.judged, shift=WINDOW)
    few = panel_of(journey, [each for each in split.judged if each.kind != "A"])
    found = {
        "before": _average(before, before.promoted),
        "other_goods": _average(few, few.total - few.promoted),
    }
    return {name: _rounded(each) for name, each in found.items()}


def balance(judged: Judged) -> dict[str, float]:
    """The largest standardised difference of means between the arms over all features, as found
    and after weighting by the chances; below 0.1 is called balanced (Austin, 2011)."""
    x, sent = judged.panel.x.astype(np.float64), judged.panel.addressed == 1
    weights = np.where(sent, 1 / judged.found.propensity, 1 / (1 - judged.found.propensity))
    spread = np.sqrt((x[sent].var(axis=0) + x[~sent].var(axis=0)) / 2)
    moving = spread > 0

    def apart(of: Floats) -> float:
        means = [np.average(x[arm], axis=0, weights=of[arm]) for arm in (sent, ~sent)]
        return float(np.abs((means[0] - means[1])[moving] / spread[moving]).max())

    return {
        "before_weighting": round(apart(np.ones(len(x))), 3),
        "after_weighting": round(apart(weights), 3),
    }


def _lesson(panel: Panel, outcome: str, more: MoreFeatures | None) -> Lesson:
    y = getattr(panel, outcome).astype(np.float64)
    found = cross_fitted(panel.x, panel.addressed, y, panel.household)
    return Lesson(_wide(panel, more), panel.addressed, y, found)


def _wide(panel: Panel, more: MoreFeatures | None) -> Floats:
    return panel.x if more is None else np.hstack([panel.x, more(panel)])


def _choose(lesson: Lesson, panel: Panel) -> dict[str, float]:
    """Qini of each learner on households of the learned campaigns that it did not see."""
    predicted = {name: np.zeros(len(lesson.x)) for name in LEARNERS}
    folds = GroupKFold(CHOOSING_FOLDS, shuffle=True, random_state=1)
    for train, test in folds.split(lesson.x, groups=panel.household):
        part = Lesson(
            lesson.x[train],
            lesson.addressed[train],
            lesson.outcome[train],
            cross_fitted(
                panel.x[train],
                lesson.addressed[train],
                lesson.outcome[train],
                panel.household[train],
            ),
        )
        for name, fit in LEARNERS.items():
            predicted[name][test] = fit(part)(lesson.x[test])
    kept = lesson.found.overlapping
    effects = doubly_robust(lesson.found, lesson.addressed, lesson.outcome)[kept]
    campaign = panel.campaign[kept]
    return {
        name: qini(effects, places_within(each[kept], campaign)) for name, each in predicted.items()
    }


def _naive(judged: Judged) -> float:
    sent = judged.panel.addressed == 1
    return float(judged.outcomes[sent].mean() - judged.outcomes[~sent].mean())


def _average(panel: Panel, outcome: Floats) -> Interval:
    y = outcome.astype(np.float64)
    found = cross_fitted(panel.x, panel.addressed, y, panel.household)
    kept = found.overlapping
    effects = doubly_robust(found, panel.addressed, y)[kept]
    weights = household_weights(panel.household[kept])
    return interval_of(float(effects.mean()), weights @ effects / weights.sum(axis=1))


def _rounded(found: Interval) -> list[float]:
    return [round(each, 4) for each in found]
