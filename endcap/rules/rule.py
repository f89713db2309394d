"""What a merchandiser may say: rules as values, whatever file they come from."""

from collections.abc import Mapping
from datetime import tzinfo
from types import MappingProxyType
from typing import Literal, NamedTuple

from endcap.catalogue import CatalogueItem

Action = Literal["block", "pin", "boost", "bury"]
DEFAULT_PLACEMENT = "default"
"""The placement of the lists that lie ready in Redis."""
MAX_POSITION = 100
DAY_MS = 86_400_000
FOR_GOOD = 1 << 60
"""How long what is bought once stays away, in ms."""


class Range(NamedTuple):
    """From `low` to `high`, both included."""

    low: float = float("-inf")
    high: float = float("inf")

    def holds(self, value: float | None) -> bool:
        """False for what is not known.

        >>> Range(5, 10).holds(10), Range(5, 10).holds(None)
        (True, False)
        """
        return value is not None and self.low <= value <= self.high


class Where(NamedTuple):
    """Which items a rule is about: those for which all that is said holds, of each list any.
    Empty and None: nothing is said. `items` in the order of the file."""

    items: tuple[str, ...] = ()
    categories: frozenset[str] = frozenset()
    brands: frozenset[str] = frozenset()
    price: Range | None = None
    stock: Range | None = None

    def holds(self, item: CatalogueItem) -> bool:
        """Whether the rule is about this item. What the catalogue does not know never holds."""
        return (
            (not self.items or item.item_id in self.items)
            and (not self.categories or item.category in self.categories)
            and (not self.brands or item.brand in self.brands)
            and (self.price is None or self.price.holds(item.price))
            and (self.stock is None or self.stock.holds(item.stock))
        )


class Window(NamedTuple):
    """When a rule is in force: from `from_ms` up to `until_ms` (Unix ms), on `days` (0: Monday),
    in one of `minutes` (of the day, from, up to; over midnight where the second is lower). Empty:
    always. Days and minutes are those of the rules' time zone."""

    from_ms: int = 0
    until_ms: int = FOR_GOOD
    days: frozenset[int] = frozenset()
    minutes: tuple[tuple[int, int], ...] = ()


class Rule(NamedTuple):
    """One rule. `points` are added to the score of what is boosted or buried; `position` is that of
    a pin, from 1; `placements` empty: everywhere; `line` in the file."""

    name: str
    line: int
    action: Action
    where: Where
    points: float = 0.0
    position: int = 0
    placements: frozenset[str] = frozenset()
    window: Window = Window()


class Mix(NamedTuple):
    """How a placement's slate is mixed. `diversity` 0: by score alone, to 1: categories take turns.
    `per_category`: the most of one; None: as without rules."""

    diversity: float | None = None
    per_category: int | None = None


class RuleSet(NamedTuple):
    """A whole file. `mixes` by placement, `mix` for the others; `waits_ms` by category: how long
    after a purchase nothing of it is shown (0: it may be shown at once). `mix_lines` and
    `wait_lines`: where those stand in the file."""

    rules: tuple[Rule, ...] = ()
    mix: Mix = Mix()
    mixes: Mapping[str, Mix] = MappingProxyType({})
    waits_ms: Mapping[str, int] = MappingProxyType({})
    zone: tzinfo | None = None
    mix_lines: Mapping[str, int] = MappingProxyType({})
    wait_lines: Mapping[str, int] = MappingProxyType({})

    @property
    def says_nothing(self) -> bool:
        """Whether lists are as they are without rules."""
        return not (self.rules or self.mixes or self.waits_ms or self.mix != Mix())

    @property
    def placements(self) -> frozenset[str]:
        """Those that are named anywhere: all others are alike."""
        return frozenset(self.mixes).union(*(rule.placements for rule in self.rules))


NO_RULES = RuleSet()
