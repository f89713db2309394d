"""From scored candidates to a slate: what may be shown, and in which order.

Rules: in stock; not in the cart; not just bought, unless buying it again is a habit; no category
takes the whole slate.
"""

import math
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from endcap.candidates import FEATURES, GENERATED, Candidates
from endcap.catalogue import CatalogueItem
from endcap.lists import ListItem
from endcap.scoring import ScoredRow
from endcap.sessions import Session

_TIMES_BOUGHT = FEATURES.index("times_bought")
_FOLLOWING = FEATURES.index("following")
_TOGETHER = FEATURES.index("together")
_IN_HISTORY = FEATURES.index("in_history")


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
    slate: list[ListItem] = []
    in_category: Counter[str] = Counter()
    cart = frozenset(session.cart)
    just_bought = {
        past.item_id
        for past in session.purchased
        if past.times == 1 and now_ms - past.last_ms < policy.just_bought_ms
    }
    order = np.argsort(-scored.scores, kind="stable")
    for at, index in zip(order.tolist(), scored.ids[order].tolist(), strict=True):
        if index == 0:
            continue
        item = item_at(index)
        if not item.in_stock or item.item_id in cart or item.item_id in just_bought:
            continue
        if item.category and in_category[item.category] >= policy.per_category:
            continue
        in_category[item.category] += 1
        reason = _reason(candidates, at, item_at)
        slate.append(ListItem(item.item_id, round(float(scored.scores[at]), 4), reason))
        if len(slate) == policy.size:
            break
    return tuple(slate)


def _reason(candidates: Candidates, at: int, item_at: Callable[[int], CatalogueItem]) -> str:
    """What put the item among the candidates, the strongest evidence first."""
    if at >= candidates.ids.size:
        return "chosen from what you looked at lately"
    features = candidates.features[at].tolist()
    if features[_TIMES_BOUGHT] > 0:
        times = round(math.expm1(features[_TIMES_BOUGHT]))
        return "you bought this before" if times == 1 else f"you bought this {times} times"
    if features[_IN_HISTORY] > 0:
        return "you looked at this before"
    together, following = candidates.together_because[at], candidates.following_because[at]
    if together and features[_TOGETHER] > 0:
        return f"often bought with {item_at(int(together)).title}"
    if following and features[_FOLLOWING] > 0:
        return f"often comes after {item_at(int(following)).title}"
    if any(features[GENERATED:]):
        return "shoppers like you chose this"
    return "popular right now"
