"""VMIS-kNN: what the sessions hold that share the shopper's newest items.

Kersbergen, Sprangers, Schelter: "Serenade", SIGMOD 2022, after VS-kNN (Ludewig and Jannach,
"Evaluation of session-based recommendation algorithms", UMUAI 2018).
"""

from typing import NamedTuple

import numpy as np

from endcap.arrays import IntArray
from endcap.candidates.neighbour_sessions import best_sessions, sessions_in_common
from endcap.candidates.scored import NOTHING, Scored, recent_items, sum_by_id
from endcap.candidates.session_index import SessionIndex, slices


class VmisKnn(NamedTuple):
    """Settings. `sample` is the paper's m, `neighbours` its k.

    `length`: how many of the newest events speak. An item `x` events back of `n` weighs
    ((n - x) / n) ** `decay`. A neighbour whose newest common item is `x` events back counts
    max(0, 1 - `match_step` * x). An item's score is multiplied by 1 + `idf` * its idf.
    """

    sample: int = 500
    neighbours: int = 100
    length: int = 10
    decay: float = 1.0
    match_step: float = 0.1
    idf: float = 1.0


def vmis_knn(history: IntArray, index: SessionIndex, options: VmisKnn) -> Scored:
    """Score the items of the sessions nearest to `history` [n], oldest first.

    1. Weigh the newest distinct items by position.
    2. Of the sessions with one of them take the `sample` newest; a session's similarity is the
       sum of the weights of the items in common.
    3. Of those keep the `neighbours` most similar, of equals the newer.
    4. Sum, for each item in them, similarity x match weight; weigh by idf.

    The items of the history themselves are scored too: a shop where people come back to an item
    wants them.
    """
    recent = recent_items(history, options.length)
    spoken = min(history.size, options.length)
    weights = (1.0 - recent.steps / max(spoken, 1)) ** options.decay
    common = sessions_in_common(recent, weights, index, options.sample)
    if not common.sessions.size:
        return NOTHING
    best = best_sessions(common.similarity, options.neighbours)
    newest_step = recent.steps[common.newest[best]]
    said = common.similarity[best] * (1.0 - options.match_step * newest_step).clip(0.0)
    places, counts = slices(index.session_offsets, common.sessions[best])
    ids = index.session_items[places]
    weight = np.repeat(said, counts) * (1.0 + options.idf * index.item_idf[ids])
    return sum_by_id(ids, weight)
