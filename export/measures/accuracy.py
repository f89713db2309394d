"""Accuracy of slates, case by case: hits, NDCG, MRR, precision, recall, F1 and MAP.

With T the set of a case's targets (n_T of them, those that nobody can answer included) and rel(r)
1 where the item at rank r of the slate is in T:

| key | of one case | source |
|---|---|---|
| `hr_at_k` | 1 if any rel(r) of r <= k, else 0 | Deshpande & Karypis 2004 |
| `ndcg_at_10` | sum of rel(r) / log2(r + 1) over the best possible | Järvelin & Kekäläinen 2002 |
| `precision_at_20` | `hr_at_20`: the SR-GNN family's P@20 | Wu et al. 2019 |
| `mrr_at_20` | 1 / rank of the first hit, 0 past 20 | Voorhees 1999 |
| `precision` | hits among the first 10, over 10 | Cleverdon 1967 |
| `recall` | hits among the first 10, over n_T | Cleverdon 1967 |
| `f1` | harmonic mean of the case's precision and recall | van Rijsbergen 1979 |
| `map_at_10` | sum of rel(r) hits(r) / r, over min(10, n_T) | Buckley & Voorhees 2000 |

A measure is the mean over cases. `f1` so is the mean of the cases' F1 ("samples" in scikit-learn),
not the F1 of the means: only so has it an interval. Published `P@20` is a share of cases, not the
share of a slate: for one target the true precision at 20 could not pass 0.05.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import IntArray
from endcap.errors import DataError
from endcap.export.data.interactions import Cases, LongArray
from endcap.export.data.slates import SLATE

RealArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MEASURES = (
    "hr_at_10",
    "hr_at_20",
    "ndcg_at_10",
    "precision_at_20",
    "mrr_at_20",
    "precision",
    "recall",
    "f1",
    "map_at_10",
)
K = 10


class Hits(NamedTuple):
    """Where slates hit. `at` [n, SLATE]: the item at this rank is a target. `n_targets` [n]."""

    at: BoolArray
    n_targets: LongArray


def accuracy_per_case(slates: IntArray, cases: Cases) -> dict[str, RealArray]:
    """Each of `MEASURES` for each case [n], between 0 and 1.

    Raises:
        DataError: slates of another shape than [n, SLATE], an item twice on one slate, or a case
            without targets.
    """
    hits = find_hits(slates, cases)
    ranks = np.arange(1, SLATE + 1)
    first = np.where(hits.at.any(axis=1), hits.at.argmax(axis=1) + 1, 0)
    at_10 = hits.at[:, :K]
    found = at_10.sum(axis=1)
    discounts = 1.0 / np.log2(ranks[:K] + 1.0)
    best = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(hits.n_targets, K)]
    hr_at_20 = (first > 0).astype(np.float64)
    running = np.cumsum(at_10, axis=1) / ranks[:K]
    return {
        "hr_at_10": (found > 0).astype(np.float64),
        "hr_at_20": hr_at_20,
        "ndcg_at_10": at_10 @ discounts / best,
        "precision_at_20": hr_at_20,
        "mrr_at_20": np.where(first > 0, 1.0 / np.maximum(first, 1), 0.0),
        "precision": found / K,
        "recall": found / hits.n_targets,
        # 2 p r / (p + r) with p = found / K and r = found / n_targets.
        "f1": 2.0 * found / (K + hits.n_targets),
        "map_at_10": (running * at_10).sum(axis=1) / np.minimum(hits.n_targets, K),
    }


def means(per_case: Mapping[str, RealArray]) -> dict[str, float]:
    """The measures of all cases together; 0 where there is no case."""
    return {key: float(values.mean()) if values.size else 0.0 for key, values in per_case.items()}


def find_hits(slates: IntArray, cases: Cases) -> Hits:
    """Which places of the slates hold a target. 0 never hits; a target named twice counts once.

    Raises:
        DataError: as `accuracy_per_case`.
    """
    check_slates(slates, cases)
    n_given = np.diff(cases.target_offsets)
    if cases.size and n_given.min() < 1:
        raise DataError(
            f"case {int(n_given.argmin())} has no target: a question without an answer cannot be"
            " measured. Leave such cases out where they are made"
        )
    if (n_given == 1).all():
        targets = cases.targets[:, None]
        return Hits((slates == targets) & (targets > 0), n_given)
    width = max(int(slates.max(initial=0)), int(cases.targets.max(initial=0))) + 1
    owners = np.repeat(np.arange(cases.size), n_given)
    known = cases.targets > 0
    wanted = np.unique(owners[known] * width + cases.targets[known])
    n_targets = np.bincount(owners[~known], minlength=cases.size)
    n_targets += np.bincount(wanted // width, minlength=cases.size)
    shown = np.arange(cases.size)[:, None] * width + slates
    return Hits(is_among(shown, wanted) & (slates > 0), n_targets)


def check_slates(slates: IntArray, cases: Cases) -> None:
    """Slates are [n, SLATE] and no item stands twice on one.

    Raises:
        DataError: they are not; the message names the first bad case.
    """
    if slates.shape != (cases.size, SLATE):
        raise DataError(
            f"slates are {list(slates.shape)} where {[cases.size, SLATE]} was due: one row of"
            f" {SLATE} items for each case, 0 where there are fewer"
        )
    in_order = np.sort(slates, axis=1)
    twice = (in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] > 0)
    if twice.any():
        case, place = np.argwhere(twice)[0]
        raise DataError(
            f"the slate of case {case} holds item {in_order[case, place]} twice: a hit would count"
            " twice. Mend the ranker"
        )


def is_among(values: LongArray, in_order: LongArray) -> BoolArray:
    """Which of `values` (of any shape) are in the rising array `in_order`."""
    if not in_order.size:
        return np.zeros(values.shape, dtype=np.bool_)
    places = np.minimum(np.searchsorted(in_order, values), in_order.size - 1)
    among: BoolArray = in_order[places] == values
    return among
