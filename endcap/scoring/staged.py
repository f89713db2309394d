"""The model in three stages: the encoder, one look at the catalogue, the blend.

The same weights as the whole graph, and the same scores; but no event and no candidate is padding,
and the catalogue is gone through once (docs/decisions/0024).
"""

import importlib.util
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from endcap.arrays import FloatArray
from endcap.candidates import Crowd, Gathered
from endcap.scoring.catalogue import Added, look, nearest
from endcap.scoring.packed import Packed, pack
from endcap.scoring.scored import Scored

IS_BUILT = importlib.util.find_spec("endcap.scoring.native_catalogue") is not None
"""False after an installation without a C compiler. A part that is there and does not load is an
error of its import."""
BOUNDS = (8, 24)
"""Sessions up to so many events go through the encoder together: attention alone pays for what is
padded, and a call of the encoder costs as much as twenty short sessions."""
ROWS = 2048
"""Candidates a call of the blend: what is between its layers stays in the cache."""


class StageGraphs(NamedTuple):
    """ONNX graphs: `encoder` from the fields of `Packed` to `queries` [B, d]; `blend` from `inputs`
    [M, len(INPUTS)] to `scores` [M]. `table` [V + 1, d]: item vectors of any length, row 0 zero.
    `layers` of the Transformer and `width` of the blend's: to count operations by.
    """

    encoder: bytes
    blend: bytes
    temperature: float
    own: int
    layers: int
    width: int
    table: FloatArray


class Stages(NamedTuple):
    """What runs the two graphs. `encode`: normalised queries [B, d]; `weigh`: scores [M] of inputs
    [M, len(INPUTS)]. `temperature`: what cosines are multiplied by; `own`: how many of its nearest
    items the Transformer adds."""

    encode: Callable[[Packed], FloatArray]
    weigh: Callable[[FloatArray], FloatArray]
    temperature: float
    own: int


class StagedModel:
    """A model's stages and tables. `table` [V + 1, d]: item vectors, row 0 zero; `facts`
    [V + 1, len(FACTS)]. Calls from several threads wait for one another."""

    def __init__(
        self,
        stages: Stages,
        table: FloatArray,
        facts: FloatArray,
        max_length: int,
        natively: bool = IS_BUILT,
    ) -> None:
        self._stages, self._facts, self._max_length = stages, facts, max_length
        self._table = table / np.linalg.norm(table, axis=1, keepdims=True).clip(1e-12)
        self.natively = natively
        self._one_at_a_time = threading.Lock()
        if natively:
            from endcap.scoring.native_catalogue import NativeCatalogue

            self._native = NativeCatalogue(self._table, facts)

    def score(self, crowd: Crowd, gathered: Gathered) -> Scored:
        """All candidates of a crowd, and what the Transformer adds to them."""
        with self._one_at_a_time:
            added = self._look(self._queries(crowd), crowd, gathered)
            scores = self._weigh(gathered.told), self._weigh(added.told)
            return _together(gathered, added, *scores)

    def _weigh(self, told: FloatArray) -> FloatArray:
        scores = np.empty(told.shape[0], np.float32)
        for start in range(0, told.shape[0], ROWS):
            scores[start : start + ROWS] = self._stages.weigh(told[start : start + ROWS])
        return scores

    def _queries(self, crowd: Crowd) -> FloatArray:
        queries = np.zeros((crowd.size, self._table.shape[1]), np.float32)
        for rows, packed in pack(crowd, self._table, self._max_length, BOUNDS):
            queries[rows] = self._stages.encode(packed)
        return queries

    def _look(self, queries: FloatArray, crowd: Crowd, gathered: Gathered) -> Added:
        temperature, own = self._stages.temperature, self._stages.own
        if not self.natively:
            cosines = nearest(queries, self._table)
            return look(cosines, temperature, own, gathered, self._facts, crowd.context)
        return Added(*self._native.look(queries, temperature, own, gathered, crowd.context))


def _together(
    gathered: Gathered, added: Added, of_candidates: FloatArray, of_added: FloatArray
) -> Scored:
    """Shopper by shopper: the candidates, then what is added."""
    first, more = np.diff(gathered.offsets), np.diff(added.offsets)
    offsets = np.concatenate([[0], np.cumsum(first + more)])
    ids = np.empty(int(offsets[-1]), np.int32)
    scores = np.empty(ids.size, np.float32)
    for start, counts, found, weighed in (
        (offsets[:-1], first, gathered.ids, of_candidates),
        (offsets[:-1] + first, more, added.ids, of_added),
    ):
        shift = np.repeat(start - np.cumsum(counts) + counts, counts)
        place = shift + np.arange(found.size)
        ids[place], scores[place] = found, weighed
    return Scored(ids, scores, offsets)
