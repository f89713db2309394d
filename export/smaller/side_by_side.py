"""What a smaller bundle costs: both answer the same questions, in turns, in one run."""

import time
from itertools import islice
from statistics import median
from typing import NamedTuple

import msgspec
import numpy as np

from endcap.arrays import IntArray
from endcap.batches import Batch
from endcap.export.data.interactions import Cases
from endcap.export.graph_ranker import GraphRanker, Timed, timed_slates
from endcap.export.measures.accuracy import accuracy_per_case, means
from endcap.export.onnx_graph import onnx_scorer
from endcap.export.questions import Vocabulary, batches

_ROUNDS = 3
_GRAPH_ROUNDS = 5
_BATCHES = 4


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One bundle. `users_per_s`: sessions folded, candidates gathered and scored, as `evaluate`
    has it; `graph_users_per_s`: the graph alone, all that being smaller can change."""

    hr_at_10: float
    hr_at_20: float
    ndcg_at_10: float
    graph_bytes: int
    bundle_bytes: int
    users_per_s: float
    graph_users_per_s: float


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """`overlap_at_20`: the share of the first 20 items that both name, over questions."""

    questions: int
    before: Side
    after: Side
    overlap_at_20: float

    def lost(self) -> float:
        """The larger relative loss of HR@20 and of NDCG@10; below 0 where nothing was lost."""
        pairs = (
            (self.before.hr_at_20, self.after.hr_at_20),
            (self.before.ndcg_at_10, self.after.ndcg_at_10),
        )
        return max(1.0 - now / then if then > 0 else 0.0 for then, now in pairs)


class Contestant(NamedTuple):
    """A ranker and the bytes of its bundle's files."""

    ranker: GraphRanker
    bundle_bytes: int


def side_by_side(before: Contestant, after: Contestant, cases: Cases) -> Cost:
    """Ask both `cases`, three times in turns; medians of the speeds."""
    timed: list[list[Timed]] = [[], []]
    for _ in range(_ROUNDS):
        for number, side in enumerate((before, after)):
            timed[number].append(timed_slates(side.ranker, cases))
    speeds = _graph_speeds((before.ranker, after.ranker), cases)
    sides = [
        _side(side, runs, cases, speed)
        for side, runs, speed in zip((before, after), timed, speeds, strict=True)
    ]
    overlap = overlap_of(timed[0][0].slates, timed[1][0].slates)
    return Cost(questions=cases.size, before=sides[0], after=sides[1], overlap_at_20=overlap)


def overlap_of(ours: IntArray, theirs: IntArray) -> float:
    """The mean share of the items of `ours` [n, SLATE] that the same row of `theirs` names too."""
    shared = ((ours[:, :, None] == theirs[:, None, :]) & (ours > 0)[:, :, None]).any(axis=2)
    named = (ours > 0).sum(axis=1)
    asked = named > 0
    return float((shared.sum(axis=1)[asked] / named[asked]).mean()) if asked.any() else 1.0


def _side(side: Contestant, runs: list[Timed], cases: Cases, graph_speed: float) -> Side:
    found = means(accuracy_per_case(runs[0].slates, cases))
    return Side(
        hr_at_10=found["hr_at_10"],
        hr_at_20=found["hr_at_20"],
        ndcg_at_10=found["ndcg_at_10"],
        graph_bytes=len(side.ranker.graph),
        bundle_bytes=side.bundle_bytes,
        users_per_s=round(median(run.users_per_s for run in runs), 1),
        graph_users_per_s=round(graph_speed, 1),
    )


def _graph_speeds(rankers: tuple[GraphRanker, GraphRanker], cases: Cases) -> list[float]:
    """Users a second of each graph, over the same batches in turns; the first round warms up."""
    scorers = [onnx_scorer(ranker.graph) for ranker in rankers]
    asked = [_some_batches(ranker, cases) for ranker in rankers]
    seconds: list[list[float]] = [[], []]
    for _ in range(_GRAPH_ROUNDS + 1):
        for number, score in enumerate(scorers):
            begun = time.perf_counter()
            for batch in asked[number]:
                score(batch)
            seconds[number].append(time.perf_counter() - begun)
    users = [sum(batch.item_ids.shape[0] for batch in each) for each in asked]
    return [n / max(1e-9, median(took[1:])) for n, took in zip(users, seconds, strict=True)]


def _some_batches(ranker: GraphRanker, cases: Cases) -> list[Batch]:
    some = cases.take(np.arange(min(cases.size, _BATCHES * 256)))
    vocabulary = Vocabulary(ranker.items, ranker.bundle_items)
    made = batches(some, vocabulary, ranker.generators, ranker.length)
    return [asked.batch() for asked in islice(made, _BATCHES)]
