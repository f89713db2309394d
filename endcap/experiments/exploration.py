"""Chance on a few places of a list, and how likely each item was to stand where it stands.

With the probabilities in the log, what another ranker would have got can be estimated without
showing it to anybody (`endcap.export.measures.feedback`; Li et al., KDD 2018).
"""

from functools import lru_cache
from math import comb

import msgspec
import xxhash

from endcap.experiments.definition import Explore
from endcap.lists import RecommendationList


def explored(ready: RecommendationList, explore: Explore, user_id: str) -> RecommendationList:
    """The list with its chance taken, each item with its propensity.

    Items at `explore.places` and all behind the last of them are a pool. With probability epsilon
    the places are filled from it, each item as likely as the others; what is left follows in its
    order. Everything above the places stays. The draw hangs on the shopper and the list's version
    alone: made anew the list is the same one.
    """
    items = ready.items
    places = sorted(place - 1 for place in explore.places if place <= len(items))
    if not places or not explore.epsilon:
        return ready
    pool = [*places, *range(places[-1] + 1, len(items))]
    chance = _Chance(user_id, ready.version)
    order = list(range(len(pool)))
    if chance.next() < explore.epsilon:
        order = _drawn(len(pool), len(places), chance)
    made = list(items)
    for rank, origin in enumerate(order):
        item = items[pool[origin]]
        likely = _propensity(rank, origin, len(pool), len(places), explore.epsilon)
        made[pool[rank]] = msgspec.structs.replace(item, propensity=likely)
    return msgspec.structs.replace(ready, items=tuple(made))


class _Chance:
    """Numbers between 0 and 1 that are always the same ones for a shopper and a version."""

    def __init__(self, user_id: str, version: int) -> None:
        self._of = f"explore\0{user_id}\0{version}\0"
        self._number = 0

    def next(self) -> float:
        self._number += 1
        return (xxhash.xxh64_intdigest(f"{self._of}{self._number}".encode()) >> 11) / 2**53


def _drawn(n: int, k: int, chance: _Chance) -> list[int]:
    """`k` of `n` in any order, then the rest in its own (Fisher & Yates, stopped after k)."""
    deck = list(range(n))
    for place in range(k):
        other = place + int(chance.next() * (n - place))
        deck[place], deck[other] = deck[other], deck[place]
    return [*deck[:k], *sorted(deck[k:])]


@lru_cache(4096)
def _propensity(rank: int, origin: int, n: int, k: int, epsilon: float) -> float:
    """Of the item at place `origin` of the pool to stand at `rank`; the first k ranks are drawn.

    Behind them an item moves by how many before it were drawn: a hypergeometric number.
    """
    if rank < k:
        by_chance = 1 / n
    else:
        drawn_before = origin - (rank - k)
        if not 0 <= drawn_before <= k:
            return 0.0
        by_chance = comb(origin, drawn_before) * comb(n - 1 - origin, k - drawn_before) / comb(n, k)
    likely = (1 - epsilon) * (rank == origin) + epsilon * by_chance
    return float(f"{likely:.6g}")  # never 0: what was shown could be shown
