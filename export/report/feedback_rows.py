"""From a file of impressions and a ranker to the report's rows of feedback."""

from pathlib import Path

import numpy as np

from endcap.export.data.interactions import DataSet
from endcap.export.data.slates import Ranker
from endcap.export.measures.feedback import (
    Estimates,
    Weights,
    click_rewards,
    estimate,
    power_examination,
    thumb_rewards,
    weights_by_position,
    weights_by_propensity,
)
from endcap.export.measures.impression_cases import cases_of, slates_of
from endcap.export.measures.impressions import Impressions, read_impressions
from endcap.export.measures.intervals import Interval
from endcap.export.report.found import Feedback


def feedback_from(
    path: Path, data: DataSet, name: str, ranker: Ranker, eta: float = 1.0
) -> tuple[Feedback, ...]:
    """What `ranker` would have got from the shoppers of these impressions, in clicks and in thumbs.

    Weighted by propensity where the file logs one, else by place (examination 1 / place^eta). The
    ranker must have learned from events before the first list alone.

    Raises:
        DataError: impressions of a wrong form, without a shopper of `data`, with a propensity
            missing here and there or 0, or that say nothing of the ranker.
    """
    replay = cases_of(read_impressions(path), data)
    shown = replay.impressions
    slates = slates_of(ranker.slates(replay.cases), data.items, shown)
    if np.isnan(shown.propensities).all():
        words = f"by place, 1/place^{eta:g}"
        last = int(shown.positions.max())
        weights = weights_by_position(shown, slates, power_examination(last, eta))
    else:
        words, weights = "by logged propensity", weights_by_propensity(shown, slates)
    found = [_row(name, "clicks", words, estimate(shown, weights, click_rewards(shown)))]
    if shown.thumbs.any():
        found.append(_of_thumbs(name, words, shown, weights))
    return tuple(found)


def _of_thumbs(name: str, words: str, shown: Impressions, weights: Weights) -> Feedback:
    estimates = estimate(shown, weights, thumb_rewards(shown))
    return _row(name, "thumbs up less down", words, estimates)


def _row(name: str, reward: str, weighting: str, estimates: Estimates) -> Feedback:
    found: dict[str, Interval | None] = {
        "ips": estimates.ips,
        "snips": estimates.snips,
        "clipped": estimates.clipped,
        "naive": estimates.naive,
    }
    return Feedback(
        name,
        reward,
        weighting,
        {key: (i.value, i.low, i.high) for key, i in found.items() if i is not None},
        estimates.effective,
        estimates.support,
        estimates.n_lists,
        estimates.n_shoppers,
    )
