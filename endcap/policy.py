"""From scored candidates to a slate: what may be shown, and in which order.

In stock; not in the cart; not just bought, unless buying it again is a habit; no category takes the
whole slate. Where a shop has rules of its own, `endcap.rules` makes the slate.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from endcap.arrays import FloatArray
from endcap.candidates import Candidates
from endcap.catalogue import CatalogueItem
from endcap.lists import ListItem
from endcap.messages import ENGLISH, Messages
from endcap.reasons import reasons
from endcap.scoring import ScoredRow
from endcap.sessions import Session

LOOKED_AT = 4
"""Times a slate's size: so many of the best suffice for nearly every slate."""


class Policy(NamedTuple):
    """`size` items; at most `per_category` of one category that is known; `just_bought_ms`: how
    long an item bought for the first time stays off the slate at least. `placement`: whose rules
    hold. `is_mixed` False: all that was scored is wanted, and no rule is to vary it."""

    size: int = 20
    per_category: int = 5
    just_bought_ms: int = 24 * 3600 * 1000
    placement: str = "default"
    is_mixed: bool = True


def make_slate(
    session: Session,
    candidates: Candidates,
    scored: ScoredRow,
    item_at: Callable[[int], CatalogueItem],
    policy: Policy,
    now_ms: int,
    away: frozenset[int] = frozenset(),
    messages: Messages = ENGLISH,
) -> tuple[ListItem, ...]:
    """The best allowed items with their reasons, best first; `scored` begins with `candidates`.
    `away`: items that must not be shown, by index."""
    slate: list[_Chosen] = []
    in_category: dict[str, int] = {}
    cart = frozenset(session.cart)
    fresh = just_bought(session, policy, now_ms)
    for at in best_first(scored.scores, LOOKED_AT * policy.size):
        index = int(scored.ids[at])
        if index == 0 or index in away:
            continue
        item = item_at(index)
        item_id, category = item.item_id, item.category
        if not item.in_stock or item.stock == 0 or item_id in cart or item_id in fresh:
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
            reasons(candidates, places, item_at, messages),
            strict=True,
        )
    )


class _Chosen(NamedTuple):
    at: int
    item_id: str


def just_bought(session: Session, policy: Policy, now_ms: int) -> set[str]:
    """What was bought a moment ago for the first time."""
    fresh = set[str]()
    for past in reversed(session.purchased):  # in the order of when they were last bought
        if now_ms - past.last_ms >= policy.just_bought_ms:
            break
        if past.times == 1:
            fresh.add(past.item_id)
    return fresh


def best_first(scores: FloatArray, likely: int) -> Iterator[int]:
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
