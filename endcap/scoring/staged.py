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
from endcap.batches import least_gaps_ms
from endcap.candidates import Crowd, Gathered
from endcap.errors import BundleError
from endcap.scoring.catalogue import Added, look, nearest
from endcap.scoring.indexed import Find, indexed, look_by_index
from endcap.scoring.onnx_weights import read_blend, read_encoder
from endcap.scoring.packed import Packed, pack
from endcap.scoring.scored import Scored

IS_BUILT = all(
    importlib.util.find_spec(f"endcap.scoring.{part}") is not None
    for part in ("native_catalogue", "native_stages")
)
"""False after an installation without a C compiler. A part that is there and does not load is an
error of its import."""
BOUNDS = (8, 24)
"""Sessions up to so many events go through the encoder's graph together: attention alone pays for
what is padded, and a call of the graph costs as much as twenty short sessions."""
ROWS = 2048
"""Candidates a call of the blend's graph: what is between its layers stays in the cache."""
_OF_PANELS, _LONGEST_HEAD = 32, 128
"""Widths that the compiled encoder can take are multiples of the first."""


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


class Runners(NamedTuple):
    """What runs the two graphs as they are. `encode`: normalised queries [B, d] of packed sessions;
    `weigh`: scores [M] of inputs [M, len(INPUTS)]."""

    encode: Callable[[Packed], FloatArray]
    weigh: Callable[[FloatArray], FloatArray]


class Stages(NamedTuple):
    """The first and the last stage. `encode`: normalised queries [B, d] of a crowd, zeros where no
    item is known; `weigh`: scores [M] of inputs [M, len(INPUTS)]."""

    encode: Callable[[Crowd], FloatArray]
    weigh: Callable[[FloatArray], FloatArray]


def stages_in_graphs(runners: Runners, table: FloatArray, max_length: int) -> Stages:
    """By whoever runs ONNX graphs. `table` [V + 1, d]: normalised item vectors."""

    def encode(crowd: Crowd) -> FloatArray:
        queries = np.zeros((crowd.size, table.shape[1]), np.float32)
        for rows, packed in pack(crowd, table, max_length, BOUNDS):
            queries[rows] = runners.encode(packed)
        return queries

    def weigh(told: FloatArray) -> FloatArray:
        scores = np.empty(told.shape[0], np.float32)
        for start in range(0, told.shape[0], ROWS):
            scores[start : start + ROWS] = runners.weigh(told[start : start + ROWS])
        return scores

    return Stages(encode, weigh)


def compiled_stages(graphs: StageGraphs, table: FloatArray) -> Stages:
    """The weights of the graphs in our own C, which needs `IS_BUILT`.

    Raises:
        BundleError: these are other graphs than endcap writes now, or of a width that it does not
            do.
    """
    from endcap.scoring.native_stages import NativeBlend, NativeEncoder

    encoder, blend = read_encoder(graphs.encoder), read_blend(graphs.blend)
    dim, head = table.shape[1], table.shape[1] // encoder.heads
    inner = [block.widen.shape[1] for block in encoder.blocks]
    if any(width % _OF_PANELS for width in (dim, *inner)) or head > _LONGEST_HEAD:
        raise BundleError(f"The compiled encoder does not do vectors of {dim}.")
    return Stages(NativeEncoder(encoder, table, least_gaps_ms()).encode, NativeBlend(blend).weigh)


class StagedModel:
    """A model's stages and tables. `table` [V + 1, d]: normalised item vectors; `facts`
    [V + 1, len(FACTS)]. Calls from several threads wait for one another.

    `natively`: all in compiled code; where the graphs are others than that knows (`why_in_graphs`),
    what runs graphs runs the first and the last stage. `open_index`: what finds the nearest items
    of a normalised table [V + 1, d] too large to be multiplied by; it is given the table and the
    first stage, for queries to be judged by.
    """

    def __init__(
        self,
        graphs: StageGraphs,
        runners: Runners,
        facts: FloatArray,
        max_length: int,
        natively: bool = IS_BUILT,
        open_index: Callable[[FloatArray, Callable[[Crowd], FloatArray]], Find] | None = None,
    ) -> None:
        self._temperature, self._own, self._facts = graphs.temperature, graphs.own, facts
        self.table = graphs.table / np.linalg.norm(graphs.table, axis=1, keepdims=True).clip(1e-12)
        self._stages = stages_in_graphs(runners, self.table, max_length)
        self.why_in_graphs = ""
        self.natively = natively
        self._one_at_a_time = threading.Lock()
        if natively:
            from endcap.scoring.native_catalogue import NativeCatalogue, together

            self._compiled_together = together
            try:
                self._stages = compiled_stages(graphs, self.table)
            except BundleError as error:
                self.why_in_graphs = str(error)
        self._indexed = None
        if open_index is not None:
            self._indexed = indexed(open_index(self.table, self._stages.encode), self.table)
        elif natively:
            self._native = NativeCatalogue(self.table, facts)

    def queries(self, crowd: Crowd) -> FloatArray:
        """What each shopper asks the catalogue for [B, d]: of length 1, or 0 where no item is
        known."""
        with self._one_at_a_time:
            return self._stages.encode(crowd)

    def score(self, crowd: Crowd, gathered: Gathered) -> Scored:
        """All candidates of a crowd, and what the Transformer adds to them."""
        with self._one_at_a_time:
            added = self._look(self._stages.encode(crowd), crowd, gathered)
            scores = self._stages.weigh(gathered.told), self._stages.weigh(added.told)
            if self.natively:
                return Scored(*self._compiled_together(gathered, added.ids, added.offsets, *scores))
            return _together(gathered, added, *scores)

    def _look(self, queries: FloatArray, crowd: Crowd, gathered: Gathered) -> Added:
        temperature, own = self._temperature, self._own
        if self._indexed is not None:
            return look_by_index(
                self._indexed, queries, temperature, own, gathered, self._facts, crowd
            )
        if not self.natively:
            cosines = nearest(queries, self.table)
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
