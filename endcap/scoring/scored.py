"""What a scorer gives for a crowd."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray, IntArray, LongArray
from endcap.batches import ScoredItems


class ScoredRow(NamedTuple):
    """`ids` and `scores` [n] of one shopper, the candidates in their places first."""

    ids: npt.NDArray[np.integer]
    scores: npt.NDArray[np.float32]


class Scored(NamedTuple):
    """Items [M] of B shoppers with their scores; those of `b` at `offsets[b]:offsets[b + 1]`: the
    candidates in their places, then what the Transformer adds."""

    ids: IntArray
    scores: FloatArray
    offsets: LongArray

    def row(self, number: int) -> ScoredRow:
        """One shopper's."""
        own = slice(self.offsets[number], self.offsets[number + 1])
        return ScoredRow(self.ids[own], self.scores[own])

    def padded(self) -> ScoredItems:
        """As the whole graph gives them [B, the most of a shopper]; id 0 where there is none."""
        counts = np.diff(self.offsets)
        is_item = np.arange(int(counts.max(initial=0))) < counts[:, None]
        padded = ScoredItems(
            np.zeros(is_item.shape, np.int64), np.full(is_item.shape, -1e9, np.float32)
        )
        padded.ids[is_item], padded.scores[is_item] = self.ids, self.scores
        return padded


def without_padding(padded: ScoredItems) -> Scored:
    """What the whole graph gives, shopper by shopper."""
    is_item = padded.ids > 0
    offsets = np.concatenate([[0], np.cumsum(is_item.sum(axis=1))])
    return Scored(padded.ids[is_item].astype(np.int32), padded.scores[is_item], offsets)
