"""From the slates of several rankers on the same cases to what a report shows."""

from collections.abc import Mapping

import msgspec
import numpy as np

from endcap.arrays import IntArray
from endcap.errors import DataError
from endcap.export.data.interactions import Cases
from endcap.export.measures.accuracy import MEASURES, RealArray, accuracy_per_case, means
from endcap.export.measures.beyond import Band, Shop, beyond_accuracy, popularity_bands
from endcap.export.measures.bounds import warnings_of
from endcap.export.measures.groups import (
    GAP_MEASURE,
    by_history,
    gap_between,
    measure_group,
    pairs_of,
)
from endcap.export.measures.intervals import Interval, mean_interval, paired_difference
from endcap.export.report.found import (
    OURS,
    About,
    Found,
    Gain,
    GapFound,
    GroupFound,
    HistoryBand,
    PopularityBand,
)
from endcap.export.report.labels import PROTOCOLS

PerCase = dict[str, RealArray]


def compare(slates: Mapping[str, IntArray], cases: Cases, shop: Shop, about: About) -> Found:
    """Measure each ranker's slates [n, 20] on the same cases; `slates["endcap"]` are ours.

    `shop` of what may be known before the first case: `shop_of(split.known, data.items)`.

    Raises:
        DataError: no slates of ours, an unknown protocol, or slates that cannot be measured.
    """
    if OURS not in slates:
        raise DataError(f"no slates are named {OURS!r}; there are {', '.join(slates) or 'none'}")
    if about.protocol not in PROTOCOLS:
        raise DataError(
            f"protocol {about.protocol!r} is unknown; reports know {', '.join(PROTOCOLS)}"
        )
    per_case = {name: accuracy_per_case(rows, cases) for name, rows in slates.items()}
    metrics = {
        name: means(values) | beyond_accuracy(slates[name], cases, shop)
        for name, values in per_case.items()
    }
    pairs = pairs_of(cases, shop)
    gaps = [gap_between(pair, cases, per_case[OURS][GAP_MEASURE]) for pair in pairs]
    groups = [measure_group(rows, cases, per_case[OURS]) for pair in pairs for rows in pair]
    bands = {name: popularity_bands(rows, cases, shop) for name, rows in slates.items()}
    return Found(
        **{name: getattr(about, name) for name in msgspec.structs.asdict(about)},
        n_cases=cases.size,
        n_shoppers=int(np.unique(cases.sequences).size),
        n_items=shop.n_items,
        metrics=metrics[OURS],
        opponents={name: found for name, found in metrics.items() if name != OURS},
        intervals={name: _bounds(values, cases) for name, values in per_case.items()},
        gains=tuple(
            _gain(name, measure, per_case, cases)
            for name in per_case
            for measure in MEASURES
            if name != OURS
        ),
        groups=tuple(
            GroupFound(g.name, g.means, g.n_cases, g.n_shoppers, _plain(g.measures)) for g in groups
        ),
        gaps=tuple(GapFound(*gap) for gap in gaps),
        history=_history(per_case, cases, PROTOCOLS[about.protocol].measures[0]),
        popularity=_popularity(bands),
        warnings=warnings_of(metrics[OURS], gaps, int((slates[OURS] > 0).sum()), shop.n_items),
    )


def _bounds(values: PerCase, cases: Cases) -> dict[str, tuple[float, float]]:
    found = {key: mean_interval(v, cases.sequences) for key, v in values.items()}
    return {key: (interval.low, interval.high) for key, interval in found.items()}


def _plain(measures: Mapping[str, Interval]) -> dict[str, tuple[float, float, float]]:
    return {key: (i.value, i.low, i.high) for key, i in measures.items()}


def _gain(name: str, measure: str, per_case: Mapping[str, PerCase], cases: Cases) -> Gain:
    gap = paired_difference(per_case[OURS][measure], per_case[name][measure], cases.sequences)
    return Gain(name, measure, gap.value, gap.low, gap.high, gap.relative, gap.better, gap.worse)


def _history(
    per_case: Mapping[str, PerCase], cases: Cases, measure: str
) -> tuple[HistoryBand, ...]:
    found = []
    for rows in by_history(cases):
        clusters = cases.sequences[rows.chosen]
        rankers = {
            name: mean_interval(values[measure][rows.chosen], clusters)
            for name, values in per_case.items()
        }
        found.append(
            HistoryBand(
                rows.name,
                int(rows.chosen.sum()),
                _plain(rankers),
            )
        )
    return tuple(found)


def _popularity(bands: Mapping[str, tuple[Band, ...]]) -> tuple[PopularityBand, ...]:
    return tuple(
        PopularityBand(
            band.n_items,
            band.trained,
            band.wanted,
            {name: others[place].shown for name, others in bands.items()},
        )
        for place, band in enumerate(bands[OURS])
    )
