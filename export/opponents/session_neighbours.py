"""Opponents by session: VMIS-kNN and VSTAN, from endcap's own index."""

import msgspec

from endcap.candidates.scored import Scored
from endcap.candidates.session_index import build_session_index
from endcap.candidates.stan import Stan, stan
from endcap.candidates.vmis_knn import VmisKnn, vmis_knn
from endcap.export.data.slates import Ranker
from endcap.export.opponents.grouped_events import UNITS, Unit, grouped
from endcap.export.opponents.opponent import Task, counted
from endcap.export.opponents.scored_slates import (
    Question,
    ScoredSlates,
    counts_of,
    most_popular,
)


class VmisKnnOptions(msgspec.Struct, frozen=True):
    """As in `endcap.candidates.vmis_knn`."""

    unit: Unit = "sequence"
    sample: int = 500
    neighbours: int = 100
    length: int = 10
    decay: float = 1.0
    match_step: float = 0.1
    idf: float = 1.0
    exclude_seen: bool = False


class VstanOptions(msgspec.Struct, frozen=True):
    """As in `endcap.candidates.stan`."""

    unit: Unit = "sequence"
    sample: int = 1000
    neighbours: int = 500
    length: int = 20
    recency: float = 2.0
    age: float = 0.5
    distance: float = 2.0
    match: float = 2.0
    idf: float = 1.0
    exclude_seen: bool = False


def fit_vmis_knn(task: Task, options: VmisKnnOptions) -> Ranker:
    """Serenade's kNN."""
    events = grouped(task.train, options.unit)
    index = build_session_index(*events, task.n_items, options.sample)
    settings = VmisKnn(
        options.sample,
        options.neighbours,
        options.length,
        options.decay,
        options.match_step,
        options.idf,
    )

    def score(question: Question) -> Scored:
        return vmis_knn(question.items, index, settings)

    popular = most_popular(counts_of(task.train, task.n_items))
    return ScoredSlates(score, popular, options.exclude_seen)


def fit_vstan(task: Task, options: VstanOptions) -> Ranker:
    """STAN's three decays with VSTAN's two more."""
    events = grouped(task.train, options.unit)
    index = build_session_index(*events, task.n_items, options.sample)
    settings = Stan(
        options.sample,
        options.neighbours,
        options.length,
        options.recency,
        options.age,
        options.distance,
        options.match,
        options.idf,
    )

    def score(question: Question) -> Scored:
        return stan(question.items, index, settings)

    popular = most_popular(counts_of(task.train, task.n_items))
    return ScoredSlates(score, popular, options.exclude_seen)


VMIS_KNN = counted(
    "vmis-knn",
    "Kersbergen et al., SIGMOD 2022",
    VmisKnnOptions,
    fit_vmis_knn,
    {
        "unit": UNITS,
        "sample": (500, 250, 1000, 2500, 5000),
        "neighbours": (100, 50, 200, 500, 1500),
        "length": (10, 3, 5, 20, 50),
        "decay": (1.0, 0.0, 0.5, 2.0, 3.0),
        "match_step": (0.1, 0.0, 0.05, 0.2, 0.4),
        "idf": (1.0, 0.0, 0.3, 3.0),
        "exclude_seen": (False, True),
    },
)
# 1000 stands for "off": exp(-1 / 1000) is 0.999, and every value is plain JSON.
VSTAN = counted(
    "vstan",
    "Garg et al., SIGIR 2019; Ludewig et al., UMUAI 2021",
    VstanOptions,
    fit_vstan,
    {
        "unit": UNITS,
        "sample": (1000, 500, 2500, 5000),
        "neighbours": (500, 100, 200, 1500),
        "length": (20, 5, 10, 50),
        "recency": (2.0, 0.5, 1.0, 4.0, 8.0, 16.0),
        "age": (0.5, 0.1, 0.25, 1.0, 1000.0),
        "distance": (2.0, 0.5, 1.0, 4.0, 8.0, 1000.0),
        "match": (2.0, 0.5, 1.0, 4.0, 8.0, 1000.0),
        "idf": (1.0, 0.0, 0.3, 3.0),
        "exclude_seen": (False, True),
    },
)
