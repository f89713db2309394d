"""What a shop wants of its lists: blocks, pins, boosts, a mix of categories, and what is not bought
twice; from one file, for each placement."""

from endcap.rules.gate import Asked, Gate
from endcap.rules.rule import DEFAULT_PLACEMENT, NO_RULES, Mix, Range, Rule, RuleSet, Where, Window
from endcap.rules.ruled_slate import make_ruled_slate, pins_of
from endcap.rules.rules_file import KnownNames, parse_rules, unknown_names
from endcap.rules.ruling import Ruling

__all__ = [
    "DEFAULT_PLACEMENT",
    "NO_RULES",
    "Asked",
    "Gate",
    "KnownNames",
    "Mix",
    "Range",
    "Rule",
    "RuleSet",
    "Ruling",
    "Where",
    "Window",
    "make_ruled_slate",
    "parse_rules",
    "pins_of",
    "unknown_names",
]
