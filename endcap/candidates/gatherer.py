"""Candidates for a batch of shoppers: by the compiled path where it was built, else one by one."""

import importlib.util
import threading
from typing import NamedTuple

import numpy as np

from endcap.arrays import FloatArray, IntArray, LongArray
from endcap.candidates.features import BY_MODEL, FEATURES, INPUTS, facts_of, told_of
from endcap.candidates.gather import Candidates, gather_candidates
from endcap.candidates.generators import Generators
from endcap.candidates.shopper import Crowd

IS_BUILT = importlib.util.find_spec("endcap.candidates.native_gather") is not None
"""False after an installation without a C compiler. A part that is there and does not load is an
error of its import."""


class Gathered(NamedTuple):
    """Candidates of B shoppers, one after the other: those of `b` stand at
    `offsets[b]:offsets[b + 1]`.

    `told` [N, len(INPUTS)]: what the blend is told of each, with room in front for what the model
    says. The other arrays are those of `Candidates`, `offsets` [B + 1].
    """

    ids: IntArray
    told: FloatArray
    following_because: IntArray
    together_because: IntArray
    offsets: LongArray

    @property
    def features(self) -> FloatArray:
        """Of all candidates [N, len(FEATURES)]."""
        return self.told[:, BY_MODEL : BY_MODEL + len(FEATURES)]

    def of(self, row: int) -> Candidates:
        """One shopper's."""
        own = slice(self.offsets[row], self.offsets[row + 1])
        return Candidates(
            self.ids[own],
            self.features[own],
            self.following_because[own],
            self.together_because[own],
        )


class Gatherer:
    """The indexes of a bundle, ready to be asked. `natively`: by the compiled path, which gives
    the same numbers. Calls from several threads wait for one another."""

    def __init__(self, generators: Generators, natively: bool = IS_BUILT) -> None:
        self.generators = generators
        self.natively = natively
        self._facts = facts_of(generators)
        self._one_at_a_time = threading.Lock()
        if natively:
            from endcap.candidates.native_gather import NativeGather
            from endcap.candidates.native_tables import derive, make_tables

            self._native = NativeGather(generators, make_tables(generators), self._facts)
            self._derive = derive

    def gather(self, crowd: Crowd) -> Gathered:
        """What `gather_candidates` finds for each shopper."""
        if not crowd.size or not self.natively:
            return self._one_by_one(crowd)
        derived = self._derive(crowd)
        with self._one_at_a_time:
            return Gathered(*self._native.gather(crowd, derived))

    def _one_by_one(self, crowd: Crowd) -> Gathered:
        found = [
            gather_candidates(crowd.shopper(row), self.generators) for row in range(crowd.size)
        ]
        told = [
            told_of(
                each.features, self._facts[np.where(each.ids > crowd.n_items, 0, each.ids)], context
            )
            for each, context in zip(found, crowd.context, strict=True)
        ]
        nothing = np.empty(0, np.int32)
        return Gathered(
            np.concatenate([nothing, *(each.ids for each in found)]),
            np.concatenate([np.empty((0, len(INPUTS)), np.float32), *told]),
            np.concatenate([nothing, *(each.following_because for each in found)]),
            np.concatenate([nothing, *(each.together_because for each in found)]),
            np.cumsum([0, *(each.ids.size for each in found)]).astype(np.int64),
        )
