"""What must not be shown to a shopper, whatever its score."""

from collections.abc import Callable
from typing import NamedTuple

from endcap.arrays import FloatArray
from endcap.candidates import Candidates
from endcap.catalogue import CatalogueItem
from endcap.policy import Policy, just_bought
from endcap.rules.rule import FOR_GOOD
from endcap.rules.ruling import Ruling
from endcap.scoring import ScoredRow
from endcap.sessions import Session


class Asked(NamedTuple):
    """A shopper's scored items, and what is known of items.

    `scored` begins with `candidates`. `item_at`: by index; `find`: the index of an item by its id,
    0 where it has none; `named`: what the shop sells, by id. `now_ms`: of the session. `away`:
    items that were bought already, by index. `popularity` [V+1], by index: for a pin that fits none
    of the scored items; None: such a pin shows nothing.
    """

    session: Session
    candidates: Candidates
    scored: ScoredRow
    item_at: Callable[[int], CatalogueItem]
    find: Callable[[str], int]
    named: Callable[[str], CatalogueItem | None]
    now_ms: int
    away: frozenset[int] = frozenset()
    popularity: FloatArray | None = None


class Gate:
    """Looks at the item as the shop has it now."""

    def __init__(self, asked: Asked, policy: Policy, ruling: Ruling) -> None:
        self._away = asked.away
        self._now_ms = asked.now_ms
        self._blocks = ruling.blocks if ruling.blocks.any else None
        self._cart = frozenset(asked.session.cart)
        self._fresh = just_bought(asked.session, policy, asked.now_ms)
        self._waits_ms = ruling.waits_ms
        self._bought_ms = _newest_of_categories(asked, ruling)

    def why_not(self, index: int, item: CatalogueItem) -> str:
        """Why the item must not be shown; "" where it may. `index` 0: it has none."""
        if item.is_sold_out:
            return "sold out"
        if item.item_id in self._cart:
            return "in the cart"
        wait_ms = self._waits_ms.get(item.category)
        if wait_ms is None:
            if index in self._away or item.item_id in self._fresh:
                return "bought already"
        elif self._now_ms - self._bought_ms.get(item.category, -FOR_GOOD) < wait_ms:
            return f"bought already (already_bought of {item.category})"
        if self._blocks is None:
            return ""
        blocked = self._blocks.of(item).blocked
        return f"blocked by {', '.join(blocked)}" if blocked else ""


def _newest_of_categories(asked: Asked, ruling: Ruling) -> dict[str, int]:
    """When something of each category was last bought; of those alone that have a wait."""
    newest: dict[str, int] = {}
    if not ruling.waits_ms:
        return newest
    for past in asked.session.purchased:  # in the order of when they were last bought
        index = asked.find(past.item_id)
        category = ruling.category_of(index, asked.item_at) if index else ""
        if category in ruling.waits_ms:
            newest[category] = past.last_ms
    return newest
