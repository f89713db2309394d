"""STAN and VSTAN: session kNN with decays for the shopper's order, the neighbours' age, and the
distance of an item to what both have in common.

Garg, Gupta, Malhotra, Vig, Shroff: "Sequence and time aware neighborhood for session-based
recommendations", SIGIR 2019. VSTAN: Ludewig, Mauro, Latifi, Jannach: "Empirical analysis of
session-based recommendation algorithms", UMUAI 2021.
"""

import math
from typing import NamedTuple

import numpy as np

from endcap.arrays import IntArray
from endcap.candidates.neighbour_sessions import best_sessions, sessions_in_common
from endcap.candidates.scored import NOTHING, Scored, recent_items, sum_by_id
from endcap.candidates.session_index import SessionIndex, slices

LEAST = 1e-6
"""A decay below this is none: what weighs a millionth is not worth reading."""


class Stan(NamedTuple):
    """Settings; `math.inf` switches a decay off. `sample` is the papers' m, `neighbours` their k.

    `recency` (lambda 1): in events back. `age` (lambda 2): of a neighbour, as a share of all
    sessions: 0.1 lets one weigh 1/e that a tenth of the sessions came after, so that no clock is
    needed. `distance` (lambda 3): in places between an item and the newest common one, in the
    neighbour. VSTAN adds `match`: events back of the newest common item, and `idf`: an item's
    score is multiplied by 1 + `idf` * its idf. The defaults are STAN.
    """

    sample: int = 1000
    neighbours: int = 500
    length: int = 20
    recency: float = 2.0
    age: float = 0.5
    distance: float = 2.0
    match: float = math.inf
    idf: float = 0.0


def stan(history: IntArray, index: SessionIndex, options: Stan) -> Scored:
    """Score the items of the sessions nearest to `history` [n], oldest first.

    1. Weigh the newest distinct items by exp(-events back / recency).
    2. Of the `sample` newest sessions with one of them keep the `neighbours` with the highest
       summed weights / sqrt(items in the session), the papers' cosine.
    3. Multiply each similarity by exp(-age) and by exp(-events back of the common item / match).
    4. Sum, for each item in them, similarity x exp(-places to the common item / distance); weigh
       by idf.
    """
    recent = recent_items(history, options.length)
    weights = np.exp(-recent.steps / options.recency)
    common = sessions_in_common(recent, weights, index, options.sample)
    if not common.sessions.size:
        return NOTHING
    sizes = index.session_offsets[common.sessions + 1] - index.session_offsets[common.sessions]
    similarity = common.similarity / np.sqrt(sizes)
    best = best_sessions(similarity, options.neighbours)
    sessions, newest = common.sessions[best], common.newest[best]
    age = (index.n_sessions - 1 - sessions) / index.n_sessions
    match = np.exp(-recent.steps[newest] / options.match)
    said = similarity[best] * (np.exp(-age / options.age) * match)
    heard = match >= LEAST
    sessions, newest, said = sessions[heard], newest[heard], said[heard]
    places, counts = slices(index.session_offsets, sessions)
    ids = index.session_items[places]
    # An item comes once in a session, so each neighbour has one place of the common item.
    common_at = np.flatnonzero(ids == np.repeat(recent.items[newest], counts))
    away = np.abs(np.arange(ids.size) - np.repeat(common_at, counts))
    near = np.exp(-away / options.distance)
    weight = np.repeat(said, counts) * near * (1.0 + options.idf * index.item_idf[ids])
    is_near = near >= LEAST
    return sum_by_id(ids[is_near], weight[is_near])
