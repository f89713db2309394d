"""Gather candidates from every source and describe each by the features the model weighs.

The same function serves training's blend and the live rescorer, so that what is evaluated is what
is served.
"""

from typing import NamedTuple

import numpy as np

from endcap.bundle import CandidateIndex, FloatArray, IntArray
from endcap.sessions import HALF_LIFE_MS, Session

FEATURES = (
    "times_bought",  # log(1 + transactions with it)
    "bought_recency",  # exp(-days since last bought / 30); 0 where never
    "bought_share",  # decayed count / the largest decayed count of the shopper
    "decayed_count",  # log(1 + count with a half-life)
    "due",  # time since last bought / the mean gap between purchases, at most 4; 0: no gap known
    "gap_known",  # 1 where bought at least twice
    "bought_with",  # summed co-purchase score with the newest interactions
    "nearest",  # summed embedding similarity with the newest interactions
    "popularity",  # log of the share of recent purchases, shifted to start near 0
)
RECENT = 10
"""How many of the newest interactions speak for bought-with and nearest."""
MAX_BOUGHT = 120
MAX_CANDIDATES = 300
_DAY_MS = 86_400_000.0


class Shopper(NamedTuple):
    """A session in item indexes: `history`, `types` [n] oldest first; `bought*` [m] as of now."""

    history: IntArray
    types: IntArray
    bought: IntArray
    bought_count: FloatArray
    bought_decayed: FloatArray
    bought_due: FloatArray
    bought_recency: FloatArray


class Candidates(NamedTuple):
    """`ids` [n] item indexes, ascending; `features` [n, len(FEATURES)].

    `bought_with_because` [n] and `nearest_because` [n]: the item that spoke loudest; 0 for none.
    """

    ids: IntArray
    features: FloatArray
    bought_with_because: IntArray
    nearest_because: IntArray


def shopper_from_session(session: Session, index_of: dict[str, int], now_ms: int) -> Shopper:
    """Translate a session to item indexes; items outside the vocabulary are left out."""
    known = [
        (index_of[past.item_id], past.type_code)
        for past in session.history
        if past.item_id in index_of
    ]
    bought = np.array(
        [
            (index_of[past.item_id], past.times, past.first_ms, past.last_ms, past.decayed)
            for past in session.purchased
            if past.item_id in index_of
        ],
        dtype=np.float64,
    ).reshape(-1, 5)
    count, since_ms = bought[:, 1], (now_ms - bought[:, 3]).clip(0.0)
    gap_ms = (bought[:, 3] - bought[:, 2]) / (count - 1).clip(1.0)
    due = np.where(gap_ms > 0, since_ms / gap_ms.clip(_DAY_MS), 0.0).clip(0.0, 4.0)
    return Shopper(
        history=np.array([pair[0] for pair in known], dtype=np.int32),
        types=np.array([pair[1] for pair in known], dtype=np.int32),
        bought=bought[:, 0].astype(np.int32),
        bought_count=count.astype(np.float32),
        bought_decayed=(bought[:, 4] * 0.5 ** (since_ms / HALF_LIFE_MS)).astype(np.float32),
        bought_due=due.astype(np.float32),
        bought_recency=np.exp(-since_ms / _DAY_MS / 30.0).astype(np.float32),
    )


def gather_candidates(shopper: Shopper, index: CandidateIndex) -> Candidates:
    """Candidates of all sources, without double, at most `MAX_CANDIDATES`."""
    recent = np.unique(shopper.history[-RECENT:])
    weight = shopper.bought_decayed + 0.1 * np.log1p(shopper.bought_count)
    habit = np.argsort(-weight, kind="stable")[:MAX_BOUGHT]
    with_ids, with_scores = index.bought_with[recent].ravel(), index.bought_with_score[recent]
    near_ids, near_scores = index.nearest[recent].ravel(), index.nearest_score[recent]
    ids = _first_of_each_source(shopper.bought[habit], with_ids, near_ids, index.popular)
    features = np.zeros((ids.size, len(FEATURES)), dtype=np.float32)
    if habit.size:
        at, own = _positions(ids, shopper.bought[habit])
        row = habit[own]
        features[at, 0] = np.log1p(shopper.bought_count[row])
        features[at, 1] = shopper.bought_recency[row]
        features[at, 2] = shopper.bought_decayed[row] / shopper.bought_decayed.max()
        features[at, 3] = np.log1p(shopper.bought_decayed[row])
        features[at, 4] = shopper.bought_due[row]
        features[at, 5] = shopper.bought_count[row] > 1
    with_because = _spread(
        features, FEATURES.index("bought_with"), ids, with_ids, with_scores.ravel(), recent
    )
    near_because = _spread(
        features, FEATURES.index("nearest"), ids, near_ids, near_scores.ravel(), recent
    )
    features[:, FEATURES.index("popularity")] = np.log(index.popularity[ids] + 1e-6) + 10.0
    return Candidates(ids, features, with_because, near_because)


def _first_of_each_source(*sources: IntArray) -> IntArray:
    pooled = np.concatenate(sources)
    unique, first = np.unique(pooled, return_index=True)
    if unique.size and unique[0] == 0:
        unique, first = unique[1:], first[1:]
    if unique.size > MAX_CANDIDATES:
        keep = np.sort(np.argsort(first, kind="stable")[:MAX_CANDIDATES])
        unique = unique[keep]
    return unique.astype(np.int32)


def _positions(ids: IntArray, wanted: IntArray) -> tuple[IntArray, IntArray]:
    """Where each wanted id stands in sorted `ids`, and which of the wanted stand there at all."""
    at = np.searchsorted(ids, wanted).clip(max=max(ids.size - 1, 0))
    own = np.flatnonzero(ids[at] == wanted) if ids.size else np.empty(0, dtype=np.intp)
    return at[own].astype(np.int32), own.astype(np.int32)


def _spread(
    features: FloatArray,
    column: int,
    ids: IntArray,
    neighbours: IntArray,
    scores: FloatArray,
    recent: IntArray,
) -> IntArray:
    """Sum each neighbour's score into its candidate; returns the loudest recent item of each."""
    because = np.zeros(ids.size, dtype=np.int32)
    if not neighbours.size or not ids.size:
        return because
    spoken_by = np.repeat(recent, neighbours.size // recent.size)
    at, own = _positions(ids, neighbours)
    np.add.at(features[:, column], at, scores[own])
    quiet_first = np.argsort(scores[own], kind="stable")
    because[at[quiet_first]] = spoken_by[own][quiet_first]
    return because
