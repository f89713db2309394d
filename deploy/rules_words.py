"""Rules in words, for whoever wrote them: what a file means."""

from collections.abc import Collection, Iterable
from datetime import datetime

from rich.table import Table

from endcap.counted import counted
from endcap.near_names import did_you_mean
from endcap.rules import DEFAULT_PLACEMENT, RuleSet
from endcap.rules.rule import FOR_GOOD, Range, Rule, Where, Window

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SHOWN = 5


def summary(rules: RuleSet) -> str:
    """A sentence of the whole.

    >>> summary(RuleSet())
    'No rules: lists are as the model makes them.'
    """
    if rules.says_nothing:
        return "No rules: lists are as the model makes them."
    said = [counted(len(rules.rules), "rule")]
    if rules.mix.diversity:
        said.append(f"diversity {rules.mix.diversity:g}")
    if rules.mix.per_category is not None:
        said.append(f"at most {rules.mix.per_category} of a category")
    if rules.mixes:
        said.append(f"a mix of its own for {', '.join(sorted(rules.mixes))}")
    if rules.waits_ms:
        count = counted(len(rules.waits_ms), "category", "categories")
        said.append(f"what was bought already in {count}")
    return f"{', '.join(said)}."


def table(rules: RuleSet) -> Table:
    """A row for each rule, in the order of the file."""
    found = Table("line", "rule", "does", "to", "where and when")
    for rule in rules.rules:
        row = (str(rule.line), rule.name, _action(rule), _items(rule.where), _when(rule, rules))
        found.add_row(*row)
    return found


def unknown_placement(name: str, known: Collection[str]) -> str:
    """The sentence for it, with what there is."""
    return (
        f"There is no placement {name!r}.{did_you_mean(name, known)} Known are "
        f"{', '.join(sorted(known))}; endcap.toml names more."
    )


def _action(rule: Rule) -> str:
    match rule.action:
        case "block":
            return "never shown"
        case "pin":
            return f"pinned to place {rule.position}"
        case _:
            return f"{rule.action} by {abs(rule.points):.2f} points"


def _items(where: Where) -> str:
    said = []
    for one, many, names in (
        ("item", "items", where.items),
        ("category", "categories", sorted(where.categories)),
        ("brand", "brands", sorted(where.brands)),
    ):
        if names:
            said.append(f"{one if len(names) == 1 else many} {_few(names)}")
    for name, bounds in (("price", where.price), ("stock", where.stock)):
        if bounds is not None:
            said.append(f"{name} {_range(bounds)}")
    return ", ".join(said)


def _few(names: Collection[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(list(names)[:_SHOWN]) + more


def _range(bounds: Range) -> str:
    if bounds.low == float("-inf"):
        return f"up to {bounds.high:g}"
    if bounds.high == float("inf"):
        return f"from {bounds.low:g}"
    return f"{bounds.low:g} to {bounds.high:g}"


def _when(rule: Rule, rules: RuleSet) -> str:
    return "; ".join([_places(rule.placements), *_window(rule.window, rules)])


def _places(placements: frozenset[str]) -> str:
    if not placements:
        return "everywhere"
    redis = " (lists in Redis)"
    return ", ".join(
        f"{name}{redis if name == DEFAULT_PLACEMENT else ''}" for name in sorted(placements)
    )


def _window(window: Window, rules: RuleSet) -> Iterable[str]:
    for word, at_ms in (("from", window.from_ms), ("until", window.until_ms)):
        if 0 < at_ms < FOR_GOOD:
            yield f"{word} {datetime.fromtimestamp(at_ms / 1000, rules.zone):%Y-%m-%d %H:%M}"
    if window.days:
        yield ", ".join(_DAYS[day] for day in sorted(window.days))
    for begins, ends in window.minutes:
        yield f"{begins // 60:02}:{begins % 60:02} to {ends // 60:02}:{ends % 60:02}"
