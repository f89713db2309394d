"""What another ranker would have got, from what shoppers clicked on in the lists of the old one.

Counting clicks favours what was shown high: it was seen. Weights put that right. Two ways, by what
was logged:

- `weights_by_propensity`: the probability with which the old ranker put the item at that place.
  Right where the old ranker explores and a click depends on item and place alone (the item-position
  model; Li et al., KDD 2018).
- `weights_by_position`: how likely a shopper is to look at each place (the position-based model;
  Joachims, Swaminathan & Schnabel, WSDM 2017). It reorders: what was not on the old list has no
  click to learn from.

Estimates are rewards a list: clicks, or thumbs up less thumbs down. Lists of one shopper resemble
each other: intervals sum variance by shopper.
"""

from typing import NamedTuple

import numpy as np

from endcap.arrays import IntArray
from endcap.errors import DataError
from endcap.export.measures.accuracy import BoolArray, RealArray
from endcap.export.measures.impressions import Impressions
from endcap.export.measures.intervals import Interval, Z, standard_error


class Weights(NamedTuple):
    """How much each impression [n] says of the other ranker: 0 for nothing.

    `expected`: what the weights come to, in the mean, where the old ranker could have shown all
    that the other one shows; 0 where that is not known. `agrees` [n]: whether the other ranker
    shows the item to this shopper too. `support`: the share of what the other ranker shows that
    the impressions can speak of.
    """

    values: RealArray
    expected: float
    agrees: BoolArray
    support: float


class Estimates(NamedTuple):
    """Rewards a list of another ranker, with 95 % intervals.

    `ips` is right in the mean and varies much. `clipped` cuts large weights: it varies less and is
    too low. `snips` divides by the weights that there were: nearly right, and steadier; it needs
    propensities, and is None without. `naive` counts the rewards of the items that both rankers
    show, unweighted: the mistake that the others mend. `effective`: so many impressions of equal
    weight would say as much (Kish 1965); below about 100, do not decide by it. A `support` below 1
    says that the estimates are too low: part of what the ranker shows was never shown.
    """

    ips: Interval
    clipped: Interval
    snips: Interval | None
    naive: Interval
    effective: float
    support: float
    n_lists: int
    n_shoppers: int


def weights_by_propensity(impressions: Impressions, slates: IntArray) -> Weights:
    """1 / propensity where the other ranker puts the item at the same place, else 0.

    `slates` [L, k]: for each list, places in `item_ids` counted from 1, best first, 0 for none.

    Raises:
        DataError: a propensity that is missing, 0 or no probability.
    """
    bad = ~((impressions.propensities > 0) & (impressions.propensities <= 1))
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{int(bad.sum())} of {bad.size} impressions have no propensity above 0 and up to 1"
            f" (the first: item {impressions.item_ids[impressions.items[row]]} at place"
            f" {impressions.positions[row]} has {impressions.propensities[row]}). Log the"
            " probability with which each item was put at its place, or estimate by position"
        )
    ranks = _ranks(impressions, slates)
    same = ranks == impressions.positions
    within = impressions.positions <= slates.shape[1]
    places = np.minimum(impressions.positions, slates.shape[1]) - 1
    expected = float((within & (slates[impressions.lists, places] > 0)).sum())
    values = np.where(same, 1.0 / impressions.propensities, 0.0)
    support = min(1.0, float(values.sum()) / expected) if expected else 0.0
    return Weights(values, expected, ranks > 0, support)


def weights_by_position(
    impressions: Impressions, slates: IntArray, examination: RealArray
) -> Weights:
    """How likely the item is seen where the other ranker puts it, over where it was.

    `examination` [p]: probability, or any multiple of it, that a shopper looks at places 1 to p.
    `slates` as in `weights_by_propensity`; what stands past place p is never seen.

    Raises:
        DataError: an impression at a place that nobody looks at, or a negative examination.
    """
    padded = np.concatenate([[0.0], examination])
    last = int(impressions.positions.max(initial=0))
    if last >= padded.size or (padded[np.unique(impressions.positions)] <= 0).any():
        raise DataError(
            f"impressions stand at places 1 to {last}, and the examination given,"
            f" {np.round(examination, 4).tolist()}, is missing or 0 at one of them: a click there"
            " would weigh without end. Give one above 0 for each place"
        )
    ranks = _ranks(impressions, slates)
    seen = np.where(ranks < padded.size, padded[np.minimum(ranks, padded.size - 1)], 0.0)
    n_places = min(slates.shape[1], examination.size)
    offered = float(((slates[:, :n_places] > 0) * examination[:n_places]).sum())
    support = float(seen.sum()) / offered if offered else 0.0
    return Weights(seen / padded[impressions.positions], 0.0, ranks > 0, support)


def power_examination(n_places: int, eta: float = 1.0) -> RealArray:
    """1 / place^eta [n_places]; eta = 1 is what Joachims et al. 2017 measured on a search page."""
    return np.arange(1, n_places + 1, dtype=np.float64) ** -eta


def shuffled_examination(impressions: Impressions) -> RealArray:
    """Click rates by place over that of place 1; right only where the order shown was random.

    Raises:
        DataError: a place without a click: its examination would be 0.
    """
    shown = np.bincount(impressions.positions)[1:]
    clicks = np.bincount(impressions.positions[impressions.clicked], minlength=shown.size + 1)[1:]
    if not clicks.all():
        raise DataError(
            f"place {int((clicks == 0).argmax()) + 1} has no click among {impressions.items.size}"
            " impressions: how often it is looked at cannot be told. Collect more, or give eta"
        )
    rates: RealArray = clicks / shown
    examination: RealArray = rates / rates[0]
    return examination


def click_rewards(impressions: Impressions) -> RealArray:
    """1 for a click, else 0 [n]."""
    return impressions.clicked.astype(np.float64)


def thumb_rewards(impressions: Impressions) -> RealArray:
    """1 for a thumb up, -1 for a thumb down, 0 for none [n].

    Raises:
        DataError: nobody gave a thumb.
    """
    if not impressions.thumbs.any():
        raise DataError("no impression has a thumb up or down: there is nothing to estimate from")
    return impressions.thumbs.astype(np.float64)


def estimate(impressions: Impressions, weights: Weights, rewards: RealArray) -> Estimates:
    """Rewards a list of the ranker that `weights` speak of.

    Weights are clipped at the root of the number of lists (Ionides 2008). SNIPS: Swaminathan &
    Joachims, NIPS 2015, with the interval of a ratio by linearisation.

    Raises:
        DataError: one shopper alone, or no impression that says anything of the other ranker.
    """
    w, n_lists = weights.values, impressions.n_lists
    n_shoppers = np.unique(impressions.users).size
    if n_shoppers < 2:
        raise DataError("impressions of one shopper alone: an interval needs two or more")
    if not w.any():
        raise DataError(
            "the other ranker shows nothing that was shown: these impressions say nothing of it."
            " Let the old ranker explore, or compare rankers that agree more"
        )
    clipped = np.minimum(w, n_lists**0.5)
    return Estimates(
        ips=_a_list(impressions, w * rewards),
        clipped=_a_list(impressions, clipped * rewards),
        snips=_ratio(impressions, w, rewards, weights.expected) if weights.expected else None,
        naive=_a_list(impressions, weights.agrees * rewards),
        effective=float(w.sum() ** 2 / (w @ w)),
        support=weights.support,
        n_lists=n_lists,
        n_shoppers=n_shoppers,
    )


def _a_list(impressions: Impressions, values: RealArray) -> Interval:
    sums = _list_sums(impressions, values)
    margin = Z * standard_error(sums, impressions.users)[0]
    mean = float(sums.mean())
    return Interval(mean, mean - margin, mean + margin)


def _list_sums(impressions: Impressions, values: RealArray) -> RealArray:
    return np.bincount(impressions.lists, values, impressions.n_lists).astype(np.float64)


def _ratio(
    impressions: Impressions, weights: RealArray, rewards: RealArray, expected: float
) -> Interval:
    total = float(weights.sum())
    rate = float(weights @ rewards) / total
    sums = _list_sums(impressions, weights * (rewards - rate))
    n_places = expected / impressions.n_lists
    error = standard_error(sums, impressions.users)[0] / (total / impressions.n_lists)
    value, margin = n_places * rate, n_places * Z * error
    return Interval(value, value - margin, value + margin)


def _ranks(impressions: Impressions, slates: IntArray) -> IntArray:
    """Where the other ranker puts each item shown [n], from 1; 0: not on its slate."""
    if slates.shape[0] != impressions.n_lists:
        raise DataError(
            f"{slates.shape[0]} slates for {impressions.n_lists} lists: each list needs one slate"
        )
    same = slates[impressions.lists] == impressions.items[:, None] + 1
    return np.where(same.any(axis=1), same.argmax(axis=1) + 1, 0).astype(np.int32)
