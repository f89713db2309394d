"""From scored candidates to a slate: what may be shown, and in which order.

Rules: in stock; not in the cart; not just bought, unless buying it again is a habit; no category
takes the whole slate.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from endcap.arrays import FloatArray
from endcap.candidates import FEATURES, GENERATED, Candidates
from endcap.catalogue import CatalogueItem
from endcap.lists import ListItem
from endcap.scoring import ScoredRow
from endcap.sessions import Session

_TIMES_BOUGHT = FEATURES.index("times_bought")
_FOLLOWING = FEATURES.index("following")
_TOGETHER = FEATURES.index("together")
_IN_HISTORY = FEATURES.index("in_history")
_LOOKED_AT = 4
"""Times a slate's size: so many of the best suffice for nearly every slate."""


class Policy(NamedTuple):
    """`size` items; at most `per_category` of one category that is known; `just_bought_ms`: how
    long an item bought for the first time stays off the slate."""

    size: int = 20
    per_category: int = 5
    just_bought_ms: int = 24 * 3600 * 1000


def make_slate(
    session: Session,
    candidates: Candidates,
    scored: ScoredRow,
    item_at: Callable[[int], CatalogueItem],
    policy: Policy,
    now_ms: int,
) -> tuple[ListItem, ...]:
    """The best allowed items with their reasons, best first; `scored` begins with `candidates`."""
    slate: list[_Chosen] = []
    in_category: dict[str, int] = {}
    cart = frozenset(session.cart)
    just_bought = set[str]()
    for past in reversed(session.purchased):  # in the order of when they were last bought
        if now_ms - past.last_ms >= policy.just_bought_ms:
            break
        if past.times == 1:
            just_bought.add(past.item_id)
    for at in _best_first(scored.scores, _LOOKED_AT * policy.size):
        index = int(scored.ids[at])
        if index == 0:
            continue
        item = item_at(index)
        item_id, category = item.item_id, item.category
        if not item.in_stock or item_id in cart or item_id in just_bought:
            continue
        if category:
            count = in_category.get(category, 0)
            if count >= policy.per_category:
                continue
            in_category[category] = count + 1
        slate.append(_Chosen(at, item_id))
        if len(slate) == policy.size:
            break
    places = [chosen.at for chosen in slate]
    return tuple(
        ListItem(chosen.item_id, round(score, 4), reason)
        for chosen, score, reason in zip(
            slate,
            scored.scores[places].tolist(),
            _reasons(candidates, places, item_at),
            strict=True,
        )
    )


class _Chosen(NamedTuple):
    at: int
    item_id: str


def _best_first(scores: FloatArray, likely: int) -> Iterator[int]:
    """Places of scores, the highest first, of equals the first. `likely`: seldom are more asked
    for, and what is lower is not sorted until it is."""
    if scores.size > likely:
        least = np.partition(scores, scores.size - likely)[scores.size - likely]
        first = np.flatnonzero(scores >= least)
        yield from first[np.argsort(-scores[first], kind="stable")].tolist()
        rest = np.flatnonzero(~(scores >= least))
    else:
        rest = np.arange(scores.size)
    yield from rest[np.argsort(-scores[rest], kind="stable")].tolist()


def _reasons(
    candidates: Candidates, places: list[int], item_at: Callable[[int], CatalogueItem]
) -> Iterator[str]:
    """What put each item among the candidates, the strongest evidence first."""
    known = [at for at in places if at < candidates.ids.size]
    told = zip(
        candidates.features[known].tolist(),
        candidates.together_because[known].tolist(),
        candidates.following_because[known].tolist(),
        strict=True,
    )
    for at in places:
        if at >= candidates.ids.size:
            yield "chosen from what you looked at lately"
            continue
        features, together, following = next(told)
        if features[_TIMES_BOUGHT] > 0:
            times = round(math.expm1(features[_TIMES_BOUGHT]))
            yield "you bought this before" if times == 1 else f"you bought this {times} times"
        elif features[_IN_HISTORY] > 0:
            yield "you looked at this before"
        elif together and features[_TOGETHER] > 0:
            yield f"often bought with {item_at(together).title}"
        elif following and features[_FOLLOWING] > 0:
            yield f"often comes after {item_at(following).title}"
        elif any(features[GENERATED:]):
            yield "shoppers like you chose this"
        else:
            yield "popular right now"
