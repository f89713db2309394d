"""The rules that are in force, and the words of reasons: one value for whoever makes lists."""

import threading
from typing import NamedTuple

from endcap.bundle import Bundle
from endcap.messages import ENGLISH, Messages
from endcap.rules import NO_RULES, RuleSet, Ruling
from endcap.rules.windows import in_force

_CHECK_MS = 1000
_OTHER = ""
"""In place of every placement that no rule names."""
_MOST_BUNDLES = 4


class _Held(NamedTuple):
    """`open`: which rules' windows were open."""

    rules: RuleSet
    bundle: Bundle
    open: tuple[str, ...]
    looked_ms: int
    ruling: Ruling


class ShopRules:
    """Replacing the rules is one assignment, from any thread: the next batch has the new ones.

    What is looked up for a bundle and a placement is kept, until a rule begins or ends.
    """

    def __init__(self, messages: Messages = ENGLISH) -> None:
        self.messages = messages
        self._rules = NO_RULES
        self._held: dict[tuple[int, str], _Held] = {}
        self._one_at_a_time = threading.Lock()

    @property
    def rules(self) -> RuleSet:
        """Those in force."""
        return self._rules

    def replace(self, rules: RuleSet) -> None:
        """From the next list on these hold."""
        self._rules = rules

    def ruling(self, bundle: Bundle, placement: str, now_ms: int) -> Ruling | None:
        """What holds at a placement now (Unix ms); None where no rule says anything."""
        rules = self._rules
        if rules.says_nothing:
            return None
        named = placement if placement in rules.placements else _OTHER
        with self._one_at_a_time:
            key = (id(bundle.items), named)
            held = self._held.get(key)
            if held is not None and (
                held.rules is not rules or held.bundle.items is not bundle.items
            ):
                held = None
            if held is None or now_ms - held.looked_ms >= _CHECK_MS:
                opened = tuple(r.name for r in in_force(rules.rules, named, now_ms, rules.zone))
                if held is not None and opened == held.open:
                    ruling = held.ruling
                else:
                    ruling = Ruling(rules, named, now_ms, len(bundle.items))
                self._forget_others(rules)
                held = self._held[key] = _Held(rules, bundle, opened, now_ms, ruling)
            held.ruling.refresh(now_ms)
            return held.ruling

    def _forget_others(self, rules: RuleSet) -> None:
        for key, held in list(self._held.items()):
            if held.rules is not rules:
                del self._held[key]
        while len(self._held) >= _MOST_BUNDLES * (1 + len(rules.placements)):
            del self._held[next(iter(self._held))]
