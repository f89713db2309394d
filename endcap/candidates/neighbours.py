"""The best neighbours of every item as flat arrays, and what a shopper's newest items say by
them."""

from typing import NamedTuple

import numpy as np

from endcap.arrays import DoubleArray, FloatArray, IntArray
from endcap.candidates.pair_sums import PairSums
from endcap.candidates.scored import NOTHING, Scored, recent_items, sum_by_id


class Neighbours(NamedTuple):
    """Item `i`'s neighbours `ids[i]` with `scores[i]`, both [V+1, K], best first; 0 where there
    are fewer."""

    ids: IntArray
    scores: FloatArray


class Spoken(NamedTuple):
    """How a history speaks: its newest `length` events, an item `x` events back by `decay` ** x.

    `own`: what an item says for itself, beside what it says for its neighbours; 0 where people do
    not come back to an item, or where it stands among its own neighbours.
    """

    length: int = 10
    decay: float = 0.7
    own: float = 0.0


def neighbour_scores(history: IntArray, neighbours: Neighbours, options: Spoken) -> Scored:
    """Sum the neighbours' scores over the newest distinct items of `history` [n], oldest first."""
    recent = recent_items(history, options.length)
    if not recent.items.size:
        return NOTHING
    weights = options.decay ** recent.steps.astype(np.float64)
    scores = neighbours.scores[recent.items] * weights[:, None]
    return sum_by_id(
        np.concatenate([neighbours.ids[recent.items].ravel(), recent.items]),
        np.concatenate([scores.ravel(), options.own * weights]),
    )


def inverted(neighbours: Neighbours, shares: FloatArray) -> Neighbours:
    """The same pairs seen from the other item, as many of each, by Bayes: where a score is the
    chance of `j` after `i`, the new one is that of `i` before `j`. `shares` [V+1]: how frequent."""
    n_items, keep = neighbours.ids.shape[0] - 1, neighbours.ids.shape[1]
    item = np.repeat(np.arange(n_items + 1), keep)
    other = neighbours.ids.ravel().astype(np.int64)
    held = np.flatnonzero(other)
    item, other, score = item[held], other[held], neighbours.scores.ravel()[held]
    turned = score * shares[item] / shares[other].clip(1e-9)
    return best_neighbours(PairSums(other, item, turned), turned, n_items, keep)


def best_neighbours(pairs: PairSums, scores: DoubleArray, n_items: int, keep: int) -> Neighbours:
    """The `keep` highest scores of each item; of equals that whose pair stands first. Scores of 0
    are left out."""
    some = scores > 0
    item, other, score = pairs.item[some], pairs.other[some], scores[some].astype(np.float32)
    # The bits of positive floats rise with their value: one sort of one packed key takes a fifth
    # of the time of a sort by item and score.
    falling = np.uint32(0xFFFFFFFF) - score.view(np.uint32)
    order = np.argsort(item << 32 | falling.astype(np.int64), kind="stable")
    item, other, score = item[order], other[order], score[order]
    counts = np.bincount(item, minlength=n_items + 1)
    rank = np.arange(item.size) - (np.cumsum(counts) - counts)[item]
    kept = rank < keep
    ids = np.zeros((n_items + 1, keep), dtype=np.int32)
    found = np.zeros((n_items + 1, keep), dtype=np.float32)
    ids[item[kept], rank[kept]] = other[kept]
    found[item[kept], rank[kept]] = score[kept]
    return Neighbours(ids, found)
