"""Gather candidates from every generator and describe each by the features the model weighs.

The same function serves training's blend and the live rescorer, so that what is evaluated is what
is served. What the Transformer itself finds nearest is added inside the graph.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray, IntArray, LongArray
from endcap.candidates.features import FEATURES
from endcap.candidates.generators import Generators
from endcap.candidates.neighbours import Neighbours, Spoken, neighbour_scores
from endcap.candidates.scored import Recent, Scored, recent_items
from endcap.candidates.shopper import Shopper
from endcap.candidates.stan import Stan, stan
from endcap.candidates.vmis_knn import VmisKnn, vmis_knn
from endcap.events import EventType

MAX_BOUGHT = 120
MAX_CANDIDATES = 300
_AT = {name: number for number, name in enumerate(FEATURES)}
_DAY_MS = 86_400_000.0
_ADD, _PURCHASE = EventType.ADD_TO_CART.code, EventType.PURCHASE.code
STAN = Stan(sample=1000, neighbours=500, length=20, recency=2.0, age=2.0, distance=3.0, match=6.0)
STAN_NEAR = Stan(sample=1000, neighbours=1500, recency=4.0, age=1e3, distance=1.0, match=0.5)
VMIS = VmisKnn(sample=500, neighbours=100, length=10, idf=0.5)
ALIKE = Spoken(length=30, decay=0.9)
NAMED = 100
RECENT = 10
FADE = 0.6


class Candidates(NamedTuple):
    """`ids` [n] item indexes, ascending, the shopper's strange ones at the end; `features`
    [n, len(FEATURES)].

    `following_because` and `together_because` [n]: the item that spoke loudest; 0 for none.
    """

    ids: IntArray
    features: FloatArray
    following_because: IntArray
    together_because: IntArray


def gather_candidates(shopper: Shopper, generators: Generators) -> Candidates:
    """Candidates of all generators, without double, at most `MAX_CANDIDATES`.

    1. What was bought before, most of all lately; what stands in the history: also items that the
       model knows nothing of.
    2. What the sessions like this one hold, what follows, what goes together.
    3. What is popular now, for whom there is nothing else.
    """
    history = np.where(shopper.history > shopper.n_items, 0, shopper.history)
    strength = habit(shopper.bought_decayed, np.log1p(shopper.bought_count))
    strongest = np.argsort(-strength, kind="stable")[:MAX_BOUGHT]
    seen = recent_items(shopper.history, history.size)
    by_sessions = stan(history, generators.sessions, STAN)
    by_near = stan(history, generators.sessions, STAN_NEAR)
    by_vmis = vmis_knn(history, generators.sessions, VMIS)
    recent = recent_items(history, RECENT)
    following = _spoken_of(generators.following, recent)
    preceding = _spoken_of(generators.preceding, recent)
    together = _spoken_of(generators.together, recent)
    alike = neighbour_scores(history, generators.alike, ALIKE)
    ids = _first_of_each_source(
        shopper.bought[strongest],
        seen.items,
        _best(by_sessions.ids, by_sessions.scores),
        _best(by_near.ids, by_near.scores),
        _best(by_vmis.ids, by_vmis.scores),
        _best(following.ids, following.scores),
        _best(preceding.ids, preceding.scores),
        _best(together.ids, together.scores),
        _best(alike.ids, alike.scores),
        generators.popular,
    )
    features = np.zeros((ids.size, len(FEATURES)), dtype=np.float32)
    _describe_bought(features, ids, shopper, strongest)
    _describe_seen(features, ids, shopper, seen.items, seen.steps)
    _describe_returns(features, ids, shopper, generators)
    _describe_named(features[:, _AT["stan"]], ids, by_sessions)
    _describe_named(features[:, _AT["stan_near"]], ids, by_near)
    _describe_named(features[:, _AT["vmis_knn"]], ids, by_vmis)
    _describe_named(features[:, _AT["alike"]], ids, alike)
    _spread(features[:, _AT["preceding"]], ids, preceding, recent.items)
    return Candidates(
        ids,
        features,
        _spread(features[:, _AT["following"]], ids, following, recent.items),
        _spread(features[:, _AT["together"]], ids, together, recent.items),
    )


class _Named(NamedTuple):
    """`ids` and `scores` [n * K]: what n items name, an item as often as it is named."""

    ids: IntArray
    scores: FloatArray


def _spoken_of(neighbours: Neighbours, recent: Recent) -> _Named:
    fade = (FADE**recent.steps).astype(np.float32)[:, None]
    scores = neighbours.scores[recent.items] * fade
    return _Named(neighbours.ids[recent.items].ravel(), scores.ravel())


def habit(decayed: FloatArray, log_count: FloatArray) -> FloatArray:
    """How strong a habit each item is, by log(1 + times bought) [n] and what is left of these times
    now, `decayed` [n]."""
    strength: FloatArray = (decayed + 0.1 * log_count).astype(np.float32, copy=False)
    return strength


def faded(away_ms: LongArray) -> FloatArray:
    """exp(-days) of times [n] in the past; what lies ahead is now."""
    left: FloatArray = np.exp(-np.maximum(away_ms, 0) / _DAY_MS).astype(np.float32)
    return left


def _best(ids: IntArray, scores: FloatArray) -> IntArray:
    """The `NAMED` with the highest scores, best first; of equals that which stands first."""
    if ids.size <= NAMED:
        return ids[np.argsort(-scores, kind="stable")]
    least = -np.partition(-scores, NAMED - 1)[NAMED - 1]
    above = np.flatnonzero(scores > least)
    level = np.flatnonzero(scores == least)[: NAMED - above.size]
    top = np.sort(np.concatenate([above, level]))
    best: IntArray = ids[top[np.argsort(-scores[top], kind="stable")]]
    return best


def _describe_bought(
    features: FloatArray, ids: IntArray, shopper: Shopper, strongest: npt.NDArray[np.intp]
) -> None:
    if not strongest.size:
        return
    at, own = _positions(ids, shopper.bought[strongest])
    row = strongest[own]
    features[at, _AT["times_bought"]] = np.log1p(shopper.bought_count[row])
    features[at, _AT["bought_recency"]] = shopper.bought_recency[row]
    features[at, _AT["bought_share"]] = shopper.bought_decayed[row] / shopper.bought_decayed.max()
    features[at, _AT["decayed_count"]] = np.log1p(shopper.bought_decayed[row])
    features[at, _AT["due"]] = shopper.bought_due[row]
    features[at, _AT["gap_known"]] = shopper.bought_count[row] > 1


def _describe_seen(
    features: FloatArray, ids: IntArray, shopper: Shopper, seen: IntArray, steps: IntArray
) -> None:
    at, own = _positions(ids, seen)
    newest = shopper.history.size - 1 - steps[own]
    kind = shopper.types[newest]
    features[at, _AT["history_recency"]] = 1.0 / (1.0 + steps[own])
    features[at, _AT["history_time"]] = faded(shopper.now_ms - shopper.times_ms[newest])
    features[at, _AT["last_viewed"]] = (kind != _ADD) & (kind != _PURCHASE)
    features[at, _AT["last_carted"]] = kind == _ADD
    features[at, _AT["last_bought"]] = kind == _PURCHASE
    at, own = _positions(ids, shopper.history)
    kinds = shopper.types[own]
    for name, counted in (
        ("in_history", at),
        ("views", at[(kinds != _ADD) & (kinds != _PURCHASE)]),
        ("carts", at[kinds == _ADD]),
    ):
        features[:, _AT[name]] = np.log1p(np.bincount(counted, minlength=ids.size))
    at, _ = _positions(ids, shopper.cart)
    features[at, _AT["in_cart"]] = 1.0


def _describe_returns(
    features: FloatArray, ids: IntArray, shopper: Shopper, generators: Generators
) -> None:
    # Row 0 is what is thought of an item that nobody has met.
    row = np.where(ids > shopper.n_items, 0, ids)
    features[:, _AT["returns"]] = generators.returns.share[row]
    last_ms = np.full(ids.size, -np.inf)
    at, own = _positions(ids, shopper.history)
    np.maximum.at(last_ms, at, shopper.times_ms[own])
    at, own = _positions(ids, shopper.bought)
    last_ms[at] = shopper.bought_ms[own]
    days = (shopper.now_ms - last_ms).clip(0) / _DAY_MS / generators.returns.gap_days[row]
    features[:, _AT["due_as_others"]] = np.where(np.isfinite(days), days.clip(max=4.0), 0.0)


def _describe_named(column: FloatArray, ids: IntArray, named: Scored) -> None:
    at, own = _positions(ids, named.ids)
    column[at] = named.scores[own]


def _first_of_each_source(*sources: IntArray) -> IntArray:
    """The union, ascending; where it is too large the first of each source, then the second of
    each, and so on: every source keeps its best."""
    pooled = np.concatenate(sources)
    unique, whose = np.unique(pooled, return_inverse=True)
    if unique.size > MAX_CANDIDATES:
        place = np.concatenate([np.arange(source.size) for source in sources])
        best = np.full(unique.size, pooled.size)
        np.minimum.at(best, whose, place)
        best[unique == 0] = pooled.size
        unique = np.sort(unique[np.argsort(best, kind="stable")[:MAX_CANDIDATES]])
    return unique[unique > 0].astype(np.int32)


def _positions(ids: IntArray, wanted: IntArray) -> tuple[IntArray, IntArray]:
    """Where each wanted id stands in sorted `ids`, and which of the wanted stand there at all."""
    at = np.searchsorted(ids, wanted).clip(max=max(ids.size - 1, 0))
    own = np.flatnonzero(ids[at] == wanted) if ids.size else np.empty(0, dtype=np.intp)
    return at[own].astype(np.int32), own.astype(np.int32)


def _spread(column: FloatArray, ids: IntArray, named: _Named, recent: IntArray) -> IntArray:
    """Sum each neighbour's score into its candidate; returns the loudest recent item of each."""
    because = np.zeros(ids.size, dtype=np.int32)
    if not named.ids.size or not ids.size:
        return because
    spoken_by = np.repeat(recent, named.ids.size // recent.size)
    at, own = _positions(ids, named.ids)
    np.add.at(column, at, named.scores[own])
    quiet_first = np.argsort(named.scores[own], kind="stable")
    because[at[quiet_first]] = spoken_by[own][quiet_first]
    return because
