"""The same accuracy for each kind of shopper: whom does a ranker serve, and whom does it not?

Groups come in pairs, cut at the thirds of the cases at hand, so that a set that nobody has seen
has groups too:

| pair | by | |
|---|---|---|
| new, loyal | events in the history | the shortest and the longest third |
| light, heavy | events in a visit, on average over the history | the lowest and the highest third |
| small, large baskets | targets of the case | the smallest and the largest third |
| niche, mainstream | share of the history in the most popular tenth of the items | the same |

A pair is left out where all are alike (one target each, say) or a group has fewer than `FEWEST`
cases. The middle third is in no group.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from endcap.export.data.interactions import Cases
from endcap.export.measures.accuracy import BoolArray, RealArray
from endcap.export.measures.beyond import Shop
from endcap.export.measures.intervals import Interval, Z, mean_interval, standard_error

GAP_MEASURE = "ndcg_at_10"
"""Groups are compared by NDCG: the hit rate grows with the number of targets by itself."""
FEWEST = 30
"""Cases in a group. With fewer the normal interval means little."""
HISTORY_EDGES = (1, 2, 3, 5, 10, 20, 50, 100, 200)
"""Where bands of history length begin; the last has no end."""


class Group(NamedTuple):
    """Some of the cases, and how well they were served. `means`: who they are, in words."""

    name: str
    means: str
    n_cases: int
    n_shoppers: int
    measures: dict[str, Interval]


class Gap(NamedTuple):
    """How far one group of a pair is above the other by `GAP_MEASURE`, with 95 % bounds.

    `worse` and `better` name the groups; `worse_gets` and `better_gets` are their means.
    """

    worse: str
    better: str
    worse_gets: float
    better_gets: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """How far `better` is above `worse`; never below 0."""
        return self.better_gets - self.worse_gets


class Rows(NamedTuple):
    """A group before it is measured: which cases it holds [n]."""

    name: str
    means: str
    chosen: BoolArray


def pairs_of(cases: Cases, shop: Shop) -> tuple[tuple[Rows, Rows], ...]:
    """The pairs of groups that these cases have; see the table above."""
    sizes = np.diff(cases.target_offsets)
    found = (
        _thirds(history_lengths(cases), ("new", "loyal"), "events in the history: {}"),
        _thirds(_visit_sizes(cases), ("light", "heavy"), "events a visit: {}"),
        _thirds(sizes, ("small baskets", "large baskets"), "items wanted at once: {}"),
        _thirds(
            _popular_shares(cases, shop),
            ("niche", "mainstream"),
            "popular items in the history: {}",
            as_share=True,
        ),
    )
    pairs: list[tuple[Rows, Rows]] = []
    for pair in found:
        if pair is not None and not any(_is_same_cut(pair, other) for other in pairs):
            pairs.append(pair)  # where everybody has one visit, light is new
    return tuple(pairs)


def measure_group(rows: Rows, cases: Cases, per_case: Mapping[str, RealArray]) -> Group:
    """Each measure of `per_case` (see `accuracy_per_case`) over the group's cases alone."""
    clusters = cases.sequences[rows.chosen]
    return Group(
        rows.name,
        rows.means,
        int(rows.chosen.sum()),
        np.unique(clusters).size,
        {key: mean_interval(v[rows.chosen], clusters) for key, v in per_case.items()},
    )


def gap_between(pair: tuple[Rows, Rows], cases: Cases, values: RealArray) -> Gap:
    """The gap of a pair by `GAP_MEASURE` of each case [n]. Errors add: no case is in both."""
    means, errors = [], []
    for rows in pair:
        means.append(float(values[rows.chosen].mean()))
        errors.append(standard_error(values[rows.chosen], cases.sequences[rows.chosen])[0])
    worse, better = (0, 1) if means[0] <= means[1] else (1, 0)
    value, margin = means[better] - means[worse], Z * math.hypot(*errors)
    return Gap(
        pair[worse].name,
        pair[better].name,
        means[worse],
        means[better],
        max(-1.0, value - margin),
        min(1.0, value + margin),
    )


def by_history(cases: Cases) -> tuple[Rows, ...]:
    """Cases in bands of history length; bands of fewer than `FEWEST` are left out."""
    lengths = history_lengths(cases)
    bands = []
    for start, end in zip(HISTORY_EDGES, (*HISTORY_EDGES[1:], None), strict=True):
        chosen = lengths >= start if end is None else (lengths >= start) & (lengths < end)
        last = f"{start}+" if end is None else f"{start}–{end - 1}"
        name = str(start) if end == start + 1 else last
        if chosen.sum() >= FEWEST:
            bands.append(Rows(name, f"events in the history: {name}", chosen))
    return tuple(bands)


def history_lengths(cases: Cases) -> RealArray:
    """Events before each question [n]."""
    return (cases.ends - cases.starts()).astype(np.float64)


def _is_same_cut(pair: tuple[Rows, Rows], other: tuple[Rows, Rows]) -> bool:
    return any(np.array_equal(pair[0].chosen, rows.chosen) for rows in other)


def _visit_sizes(cases: Cases) -> RealArray:
    """Events of the history over its visits [n]; 0 without a history."""
    sessions = cases.interactions.sessions
    begins = np.ones(sessions.size + 1, dtype=np.int64)
    begins[1:-1] = sessions[1:] != sessions[:-1]
    before = np.concatenate([[0], np.cumsum(begins[:-1])])
    # The first event of a sequence begins a visit, for no two sequences share one.
    visits = before[cases.ends] - before[cases.starts()]
    sizes: RealArray = history_lengths(cases) / np.maximum(1, visits)
    return sizes


def _popular_shares(cases: Cases, shop: Shop) -> RealArray:
    """Share of each history's events that are of popular items [n]; 0 without a history."""
    popular = shop.popular()[cases.interactions.items]
    before = np.concatenate([[0], np.cumsum(popular)])
    held = before[cases.ends] - before[cases.starts()]
    shares: RealArray = held / np.maximum(1.0, history_lengths(cases))
    return shares


def _thirds(
    values: RealArray, names: tuple[str, str], unit: str, as_share: bool = False
) -> tuple[Rows, Rows] | None:
    if not values.size:
        return None
    low, high = np.quantile(values, [1 / 3, 2 / 3], method="inverted_cdf")
    if low == high:  # more than a third share one value: the rest is the other group
        above, below = values[values > high], values[values < low]
        if above.size:
            high = above.min()
        elif below.size:
            low = below.max()
        else:
            return None
    lower, higher = values <= low, values >= high
    if min(lower.sum(), higher.sum()) < FEWEST:
        return None
    shown = [f"{100 * bound:.0f} %" if as_share else f"{bound:.3g}" for bound in (low, high)]
    return (
        Rows(names[0], unit.format(f"at most {shown[0]}"), lower),
        Rows(names[1], unit.format(f"at least {shown[1]}"), higher),
    )
