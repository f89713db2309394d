"""What rules do to an item: looked up by its id, brand or category, not rule by rule."""

from collections.abc import Iterable
from typing import NamedTuple

from endcap.catalogue import CatalogueItem
from endcap.rules.rule import Rule


class Effect(NamedTuple):
    """`blocked`, and by which rules; `points` added to the score, and `moved` by which."""

    blocked: tuple[str, ...] = ()
    points: float = 0.0
    moved: tuple[str, ...] = ()


NONE = Effect()


class Effects:
    """Of the rules that are in force: blocks, boosts and what is buried. Pins are not looked at."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_item: dict[str, list[Rule]] = {}
        self._by_brand: dict[str, list[Rule]] = {}
        self._by_category: dict[str, list[Rule]] = {}
        self._anywhere: list[Rule] = []
        for rule in rules:
            if rule.action == "pin":
                continue
            where = rule.where
            for names, table in (
                (where.items, self._by_item),
                (where.brands, self._by_brand),
                (where.categories, self._by_category),
            ):
                if names:
                    for name in names:
                        table.setdefault(name, []).append(rule)
                    break
            else:
                self._anywhere.append(rule)
        self.any = bool(self._by_item or self._by_brand or self._by_category or self._anywhere)

    def of(self, item: CatalogueItem) -> Effect:
        """All that the rules do to it."""
        found = [
            rule
            for rules in (
                self._by_item.get(item.item_id, ()),
                self._by_brand.get(item.brand, ()) if item.brand else (),
                self._by_category.get(item.category, ()) if item.category else (),
                self._anywhere,
            )
            for rule in rules
            if rule.where.holds(item)
        ]
        if not found:
            return NONE
        moving = [rule for rule in found if rule.action != "block"]
        return Effect(
            tuple(rule.name for rule in found if rule.action == "block"),
            sum(rule.points for rule in moving),
            tuple(rule.name for rule in moving),
        )
