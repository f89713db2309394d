"""From scored candidates to a slate: what may be shown, and in which order.

Rules: in stock; not in the cart; not just bought, unless buying it again is a habit; no category
takes the whole slate.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from endcap.arrays import FloatArray
from endcap.candidates import FEATURES, Candidates
from endcap.catalogue import CatalogueItem
from endcap.lists import ListItem
from endcap.sessions import Session

_TIMES_BOUGHT = FEATURES.index("times_bought")
_BOUGHT_WITH = FEATURES.index("bought_with")
_NEAREST = FEATURES.index("nearest")


class Policy(NamedTuple):
    """`size` items; at most `per_category` of one category; `just_bought_ms`: how long an item
    bought for the first time stays off the slate."""

    size: int = 20
    per_category: int = 5
    just_bought_ms: int = 24 * 3600 * 1000


def make_slate(
    session: Session,
    candidates: Candidates,
    scores: FloatArray,
    item_at: Callable[[int], CatalogueItem],
    policy: Policy,
    now_ms: int,
) -> tuple[ListItem, ...]:
    """The best allowed candidates with their reasons, best first; `scores` [n] as `candidates`."""
    slate: list[ListItem] = []
    in_category: Counter[str] = Counter()
    cart = frozenset(session.cart)
    just_bought = {
        past.item_id
        for past in session.purchased
        if past.times == 1 and now_ms - past.last_ms < policy.just_bought_ms
    }
    for at in np.argsort(-scores[: candidates.ids.size], kind="stable"):
        item = item_at(int(candidates.ids[at]))
        if not item.in_stock or item.item_id in cart or item.item_id in just_bought:
            continue
        if in_category[item.category] >= policy.per_category:
            continue
        in_category[item.category] += 1
        reason = _reason(candidates, int(at), item_at)
        slate.append(ListItem(item.item_id, round(float(scores[at]), 4), reason))
        if len(slate) == policy.size:
            break
    return tuple(slate)


def _reason(candidates: Candidates, at: int, item_at: Callable[[int], CatalogueItem]) -> str:
    """What put the item among the candidates, the strongest evidence first."""
    features = candidates.features[at]
    if features[_TIMES_BOUGHT] > 0:
        times = round(float(np.expm1(features[_TIMES_BOUGHT])))
        return "you bought this before" if times == 1 else f"you bought this {times} times"
    with_item, near_item = candidates.bought_with_because[at], candidates.nearest_because[at]
    if with_item and features[_BOUGHT_WITH] > 0:
        return f"often bought with {item_at(int(with_item)).title}"
    if near_item and features[_NEAREST] > 0:
        return f"similar to {item_at(int(near_item)).title}"
    return "popular right now"
