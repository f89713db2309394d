"""Rules as they hold at one placement until the next of them begins or ends, ready for use."""

from collections.abc import Callable
from itertools import islice

import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray
from endcap.catalogue import CatalogueItem
from endcap.policy import best_first
from endcap.rules.effects import Effects
from endcap.rules.rule import Rule, RuleSet
from endcap.rules.windows import in_force

FORGET_MS = 10_000
"""Prices and categories of items change: so long what was found of an item counts for its score.
What is shown is looked at each time."""
SOUGHT_MS = 60_000
"""So long the popular items that a pin is about are known; whether they may be shown is looked at
each time."""
_SOUGHT, _KEPT = 10_000, 50
"""Among so many of the most popular items a pin looks for its own, and keeps so many: 20 ms."""
_BLOCKED = float("-inf")


class Ruling:
    """`rules` in force, the pins among them in order; `effects` of the others, `blocks` alone; the
    mix; how long categories stay away after a purchase.

    Points are remembered by item index, for one bundle of `n_items`, by the one thread that asks.
    """

    def __init__(self, rules: RuleSet, placement: str, now_ms: int, n_items: int) -> None:
        self.rules = tuple(in_force(rules.rules, placement, now_ms, rules.zone))
        self.pins: tuple[Rule, ...] = tuple(
            sorted((r for r in self.rules if r.action == "pin"), key=lambda rule: rule.position)
        )
        self.effects = Effects(self.rules)
        self.blocks = Effects(rule for rule in self.rules if rule.action == "block")
        own = rules.mixes.get(placement, rules.mix)
        self.diversity = (rules.mix if own.diversity is None else own).diversity or 0.0
        self.per_category = (rules.mix if own.per_category is None else own).per_category
        self.waits_ms = rules.waits_ms
        self._n_items = n_items
        self._points = np.zeros(n_items + 1, np.float32)
        self._known = np.zeros(n_items + 1, bool)
        self._categories: dict[int, str] = {}
        self._since_ms = self._sought_ms = now_ms
        self._sought: dict[str, tuple[int, ...]] = {}

    def category_of(self, index: int, item_at: Callable[[int], CatalogueItem]) -> str:
        """Of an item of the bundle as of the last few seconds; of a shopper's strange one now."""
        if index > self._n_items:
            return item_at(index).category
        known = self._categories.get(index)
        if known is None:
            known = self._categories[index] = item_at(index).category
        return known

    def refresh(self, now_ms: int) -> None:
        """Forget what is older than `FORGET_MS`."""
        if not 0 <= now_ms - self._since_ms < FORGET_MS:
            self._known[:] = False
            self._categories.clear()
            self._since_ms = now_ms

        if not 0 <= now_ms - self._sought_ms < SOUGHT_MS:
            self._sought.clear()
            self._sought_ms = now_ms

    def popular_of(
        self, rule: Rule, popularity: FloatArray, item_at: Callable[[int], CatalogueItem]
    ) -> tuple[int, ...]:
        """Items that the rule is about, by index, the most popular first: for shoppers who have
        none among their candidates. `popularity` [V+1]."""
        found = self._sought.get(rule.name)
        if found is None:
            in_order = islice(best_first(popularity[1:], _SOUGHT), _SOUGHT)
            fits = (at + 1 for at in in_order if rule.where.holds(item_at(at + 1)))
            found = self._sought[rule.name] = tuple(islice(fits, _KEPT))
        return found

    def points_of(
        self, ids: npt.NDArray[np.integer], item_at: Callable[[int], CatalogueItem]
    ) -> FloatArray | None:
        """What the rules add to the scores of items [n]: -inf for those that are blocked; None
        where they add nothing to any. Index 0 is no item."""
        if not self.effects.any:
            return None
        own = np.where(ids <= self._n_items, ids, 0)
        for index in own[~self._known[own]].tolist():
            if index:
                self._points[index] = self._found(item_at(index))
            self._known[index] = True
        points = self._points[own]
        for place in np.flatnonzero(ids > self._n_items).tolist():
            points[place] = self._found(item_at(int(ids[place])))
        return points

    def _found(self, item: CatalogueItem) -> float:
        effect = self.effects.of(item)
        return _BLOCKED if effect.blocked else effect.points
