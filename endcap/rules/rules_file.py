"""From the text of a rules file to rules, or to all of its mistakes with their lines."""

import math
import re
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from endcap.counted import counted
from endcap.near_names import did_you_mean
from endcap.rules.rule import (
    DAY_MS,
    DEFAULT_PLACEMENT,
    FOR_GOOD,
    MAX_POSITION,
    Mix,
    Range,
    Rule,
    RuleSet,
    Where,
    Window,
)
from endcap.yaml_lines import FileMistakesError, Mistake, Node, open_yaml

MAX_RULES = 1000
MAX_NAME = 100
"""In characters: a name stands in logs and tables."""
MAX_FACTOR, MAX_POINTS, MAX_DAYS = 1e6, 100.0, 3650
_TOP = ("timezone", "diversity", "per_category", "placements", "already_bought", "rules")
_MIX = ("diversity", "per_category")
_ACTIONS = ("block", "pin", "boost", "bury")
_RULE = ("name", *_ACTIONS, "where", "placements", "from", "until", "days", "hours")
_WHERE = ("item", "category", "brand", "price", "stock")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PLACEMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
_T = TypeVar("_T")
_WAIT = re.compile(r"(\d+(?:\.\d+)?)\s*(?:d|days?)")


def parse_rules(text: str, what: str = "The rules") -> RuleSet:
    """The rules of a file; an empty one has none.

    Raises:
        FileMistakesError: with every mistake and its line. Nothing of such a file is in force.
    """
    noted: list[Mistake] = []
    top = open_yaml(text, "the rules file", noted)
    rules = RuleSet() if top is None else _rule_set(top)
    if noted:
        raise FileMistakesError(f"{what}: {counted(len(noted), 'mistake')}.", noted)
    return rules


def unknown_names(rules: RuleSet, known: "KnownNames") -> list[Mistake]:
    """Items, categories, brands and placements that rules name and the shop does not have: no
    mistakes, for they may come, but often misspelt."""
    found: list[Mistake] = []

    def look(line: int, where: str, kind: str, named: Iterable[str], shop: Collection[str]) -> None:
        what = (
            "placement is called"
            if kind == "placement"
            else f"item of the catalogue has the {kind}"
        )
        for name in named:
            if name not in shop:
                hint = did_you_mean(name, shop)
                found.append(Mistake(line, f"{where}: no {what} {name!r}.{hint}"))

    for rule in rules.rules:
        where, line = repr(rule.name), rule.line
        look(line, where, "item", rule.where.items, known.items)
        look(line, where, "category", sorted(rule.where.categories), known.categories)
        if known.brands:  # a catalogue that tells no brand says nothing of them
            look(line, where, "brand", sorted(rule.where.brands), known.brands)
        look(line, where, "placement", sorted(rule.placements), known.placements)
    for name, line in rules.wait_lines.items():
        look(line, "already_bought", "category", [name], known.categories)
    for name, line in rules.mix_lines.items():
        look(line, "placements", "placement", [name], known.placements)
    return found


class KnownNames(NamedTuple):
    """What a catalogue has, and where its lists are shown."""

    items: frozenset[str]
    categories: frozenset[str]
    brands: frozenset[str]
    placements: frozenset[str]


def _rule_set(top: Node) -> RuleSet:
    fields = top.fields(_TOP)
    zone = _zone(fields["timezone"]) if "timezone" in fields else UTC
    rules: list[Rule] = []
    rows = fields["rules"].rows() if "rules" in fields else []
    if len(rows) > MAX_RULES:
        fields["rules"].wrong(f"{len(rows):,} rules are too many; at most {MAX_RULES:,} fit.")
        rows = []
    placed = fields["placements"].fields() if "placements" in fields else {}
    waits = fields["already_bought"].fields() if "already_bought" in fields else {}
    names: dict[str, int] = {}
    for row in rows:
        rule = _rule(row, zone)
        if rule is None:
            continue
        if rule.name in names:
            row.wrong(
                f"The name {rule.name!r} is that of line {names[rule.name]} too: `explain` and the "
                "log tell rules apart by it."
            )
        names[rule.name] = rule.line
        rules.append(rule)
    return RuleSet(
        tuple(rules),
        _mix({name: fields[name] for name in _MIX if name in fields}),
        {name: _placed_mix(name, node) for name, node in placed.items()},
        {category: _wait_ms(node) for category, node in waits.items()},
        zone,
        {name: node.line for name, node in placed.items()},
        {category: node.line for category, node in waits.items()},
    )


def _zone(node: Node) -> tzinfo:
    name = node.text()
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        node.wrong(f"timezone {name} is unknown; write it as Europe/Berlin or UTC.")
        return UTC


def _mix(fields: dict[str, Node]) -> Mix:
    diversity = fields["diversity"].number(0, 1) if "diversity" in fields else None
    most = fields["per_category"].whole(1, 1000) if "per_category" in fields else None
    return Mix(diversity, most)


def _placed_mix(name: str, node: Node) -> Mix:
    _check_placement(name, node)
    return _mix(node.fields(_MIX))


def _check_placement(name: str, node: Node) -> None:
    if not _PLACEMENT.fullmatch(name):
        node.wrong(
            f"{name!r} is no placement's name: letters, digits, _ and -, as in product-page. The "
            f"lists in Redis are those of {DEFAULT_PLACEMENT!r}."
        )


def _wait_ms(node: Node) -> int:
    said = node.text()
    if said == "once":
        return FOR_GOOD
    if said == "always":
        return 0
    days = _WAIT.fullmatch(said)
    if days is None or not float(days[1]) <= MAX_DAYS:
        if said:
            node.wrong(
                f"{node.path} is {said}: write once (never again), always (at once again), or how "
                "long it is not shown after a purchase, as in 7 days."
            )
        return 0
    return int(float(days[1]) * DAY_MS)


def _rule(node: Node, zone: tzinfo) -> Rule | None:
    fields = node.fields(_RULE)
    if not node.is_mapping:
        return None
    said = [action for action in _ACTIONS if action in fields]
    if len(said) != 1:
        node.wrong(
            f"A rule does one thing: {', '.join(_ACTIONS)}; this one says "
            f"{' and '.join(said) or 'none of them'}."
        )
    if "name" not in fields:
        node.wrong("A rule needs a name, by which `explain` and the log speak of it.")
    if "where" not in fields:
        node.wrong("A rule needs where: which items it is about, as in where: {category: Coats}.")
    name = _name(fields["name"]) if "name" in fields else ""
    where = _where(fields["where"]) if "where" in fields else Where()
    window = _window(node, fields, zone)
    placements = fields["placements"].values() if "placements" in fields else []
    for each in placements:
        if placement := each.text():
            _check_placement(placement, each)
    if len(said) != 1:
        return None
    (action,) = said
    value = fields[action]
    points, position = 0.0, 0
    if action == "block":
        if value.text().lower() not in {"true", "yes", ""}:
            value.wrong("block is true, or the rule is left out.")
    elif action == "pin":
        position = value.whole(1, MAX_POSITION) or 0
    else:
        points = _points(value) * (1 if action == "boost" else -1)
    return Rule(
        name,
        node.line,
        action,  # type: ignore[arg-type]
        where,
        points,
        position,
        frozenset(each.text() for each in placements),
        window,
    )


def _name(node: Node) -> str:
    name = node.text()
    if len(name) > MAX_NAME or not name.isprintable():
        node.wrong(f"A rule's name is one line of at most {MAX_NAME} characters.")
    return name


def _points(node: Node) -> float:
    """Scores are logarithms of odds: to double the odds is to add the logarithm of 2."""
    if not node.is_mapping:
        return _log_of(node)
    fields = node.fields(("factor", "points"))
    if len(fields) != 1:
        node.wrong(f"{node.path} takes a factor or points, one of the two.")
        return 0.0
    if "factor" in fields:
        return _log_of(fields["factor"])
    return fields["points"].number(0, MAX_POINTS) or 0.0


def _log_of(factor: Node) -> float:
    value = factor.number(1, MAX_FACTOR)
    return 0.0 if value is None else math.log(value)


def _where(node: Node) -> Where:
    fields = node.fields(_WHERE)
    if not fields:
        node.wrong("where names no items; a rule about all of them is none.")

    def texts(name: str) -> tuple[str, ...]:
        return fields[name].texts() if name in fields else ()

    return Where(
        texts("item"),
        frozenset(texts("category")),
        frozenset(texts("brand")),
        _range(fields["price"]) if "price" in fields else None,
        _range(fields["stock"]) if "stock" in fields else None,
    )


def _range(node: Node) -> Range:
    fields = node.fields(("min", "max"))
    if not fields:
        node.wrong(f"{node.path} needs min, max or both, as in {{min: 5, max: 20}}.")
    low = fields["min"].number(0, 1e12) if "min" in fields else None
    high = fields["max"].number(0, 1e12) if "max" in fields else None
    if low is not None and high is not None and low > high:
        node.wrong(f"{node.path} from {low:g} to {high:g} holds nothing: exchange min and max.")
    return Range(
        float("-inf") if low is None else low,
        float("inf") if high is None else high,
    )


def _window(node: Node, fields: dict[str, Node], zone: tzinfo) -> Window:
    begins = _moment(fields["from"], zone, False) if "from" in fields else 0
    ends = _moment(fields["until"], zone, True) if "until" in fields else FOR_GOOD
    if begins >= ends:
        node.wrong("until lies before from: the rule would never be in force.")
    days = _each(fields.get("days"), _day)
    minutes = _each(fields.get("hours"), _interval)
    return Window(begins, ends, frozenset(days), tuple(minutes))


def _each(node: Node | None, read: Callable[[Node], _T | None]) -> list[_T]:
    values = node.values() if node is not None else []
    return [found for value in values if (found := read(value)) is not None]


def _moment(node: Node, zone: tzinfo, is_end: bool) -> int:
    """A day ends when it is over."""
    said = node.text()
    try:
        when = datetime.fromisoformat(said)
    except ValueError:
        if said:
            node.wrong(f"{node.path} is {said}; write a day or a time: 2026-11-27T08:00.")
        return FOR_GOOD if is_end else 0
    if is_end and len(said.strip()) <= len("2026-11-27"):
        if when.date() == date.max:
            return FOR_GOOD
        when += timedelta(days=1)
    local = when if when.tzinfo else when.replace(tzinfo=zone)
    return int(local.timestamp() * 1000)


def _day(node: Node) -> int | None:
    said = node.text().lower()[:3]
    if said not in _DAYS:
        node.wrong(f"{node.text()} is no day; write {', '.join(_DAYS)}.")
        return None
    return _DAYS.index(said)


def _interval(node: Node) -> tuple[int, int] | None:
    said = _HOURS.fullmatch(node.text().strip())
    if said is not None:
        hour, minute, end_hour, end_minute = map(int, said.groups())
        begins, ends = 60 * hour + minute, 60 * end_hour + end_minute
        if minute < 60 and end_minute < 60 and begins < 24 * 60 >= ends and begins != ends:
            return begins, ends
    node.wrong(f"{node.text()} are no hours; write them as 08:00-11:30, or 22:00-02:00.")
    return None
