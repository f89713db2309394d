"""Which items stand in the same sessions: the cosine of item-kNN, with shrinkage.

Sarwar, Karypis, Konstan, Riedl: "Item-based collaborative filtering recommendation algorithms",
WWW 2001; shrinkage as in Bell and Koren, ICDM 2007.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.candidates.neighbours import Neighbours, best_neighbours
from endcap.candidates.pair_sums import PairSums, both_ways, pair_counts


class ItemKnn(NamedTuple):
    """Settings. `together` sessions of both items score
    together / (sessions with one x sessions with the other) ** `power`
    x together / (together + `shrink`).

    `power` 0.5 is the cosine; less ranks what is popular higher. Items more than `window` distinct
    items apart in a session do not count as together: a session of 5,000 would make 12 million
    pairs. Pairs in fewer than `at_least` sessions are left out.
    """

    power: float = 0.5
    shrink: float = 10.0
    window: int = 60
    at_least: int = 1
    keep: int = 100


def build_item_knn(
    items: npt.NDArray[np.integer],
    sessions: npt.NDArray[np.integer],
    n_items: int,
    options: ItemKnn,
) -> Neighbours:
    """Index events [N]; a session's events stand together, oldest first; an item counts once in
    each."""
    item, session = _once_a_session(items, sessions, n_items)
    alone = np.bincount(item, minlength=n_items + 1).astype(np.float64)
    counted = pair_counts(item, session, options.window, n_items)
    often = counted.sums >= options.at_least
    pairs = both_ways(PairSums(counted.item[often], counted.other[often], counted.sums[often]))
    together = pairs.sums
    expected = (alone[pairs.item] * alone[pairs.other]) ** options.power
    scores = together / expected * together / (together + options.shrink)
    return best_neighbours(pairs, scores, n_items, options.keep)


def _once_a_session(
    items: npt.NDArray[np.integer], sessions: npt.NDArray[np.integer], n_items: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    known = np.flatnonzero(items != 0)
    item, session = items[known].astype(np.int64), sessions[known].astype(np.int64)
    _, first = np.unique(session * (n_items + 1) + item, return_index=True)
    first = np.sort(first)
    return item[first], session[first]
