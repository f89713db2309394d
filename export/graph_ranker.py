"""A bundle's own graph as a ranker: what is evaluated is what is served."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import IntArray
from endcap.batches import ScoredItems
from endcap.candidates.features import facts_of
from endcap.candidates.generators import Generators
from endcap.catalogue import CatalogueItem
from endcap.export.data.interactions import Cases
from endcap.export.data.slates import SLATE
from endcap.export.onnx_graph import onnx_scorer
from endcap.export.progress import Progress
from endcap.export.questions import Asked, Vocabulary, batches
from endcap.export.stages import run_stages
from endcap.scoring import StagedModel, StageGraphs


class GraphRanker(NamedTuple):
    """`items`: the data set's; `bundle_items`: those that the graph was trained with. By its
    `stages`, as it is served, else by the whole graph."""

    graph: bytes
    stages: StageGraphs | None
    generators: Generators
    length: int
    items: tuple[CatalogueItem, ...]
    bundle_items: tuple[CatalogueItem, ...]
    progress: Progress

    def slates(self, cases: Cases) -> IntArray:
        """The best `SLATE` items of each case [n, SLATE], best first, as the data set numbers
        them. An item that the data set does not know takes no place."""
        score = self._scorer()
        vocabulary = Vocabulary(self.items, self.bundle_items)
        slates = np.zeros((cases.size, SLATE), dtype=np.int32)
        done = 0
        for asked in batches(cases, vocabulary, self.generators, self.length):
            scored = score(asked)
            slates[asked.rows] = _best(asked.as_asked(scored.ids), scored.scores)
            done += asked.rows.size
            self.progress.advance("Answering", done, cases.size)
        return slates

    def _scorer(self) -> Callable[[Asked], ScoredItems]:
        if self.stages is None:
            whole = onnx_scorer(self.graph)
            return lambda asked: whole(asked.batch())
        facts = facts_of(self.generators)
        staged = StagedModel(self.stages, run_stages(self.stages), facts, self.length)
        return lambda asked: staged.score(asked.crowd, asked.gathered).padded()


class Timed(NamedTuple):
    """Slates [n, SLATE] and how many cases a second came, sessions folded and all."""

    slates: IntArray
    users_per_s: float


def timed_slates(ranker: GraphRanker, cases: Cases) -> Timed:
    """`ranker`'s answers, with a clock."""
    begun = time.perf_counter()
    slates = ranker.slates(cases)
    return Timed(slates, cases.size / max(1e-9, time.perf_counter() - begun))


def _best(ids: npt.NDArray[np.int32], scores: npt.NDArray[np.float32]) -> IntArray:
    width = min(SLATE, ids.shape[1])
    ranked = np.argsort(-np.where(ids > 0, scores, -np.inf), axis=1, kind="stable")[:, :width]
    best = np.zeros((ids.shape[0], SLATE), dtype=np.int32)
    best[:, :width] = np.take_along_axis(ids, ranked, axis=1)
    return best
