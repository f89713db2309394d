"""What a rules file says, and what it is told of every mistake."""

import math
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.messages import parse_messages
from endcap.rules import KnownNames, Mix, Range, parse_rules, unknown_names
from endcap.rules.rule import DAY_MS, FOR_GOOD
from endcap.rules.windows import is_open
from endcap.yaml_lines import FileMistakesError

WHOLE = """
timezone: Europe/Berlin
diversity: 0.3
per_category: 4
placements:
  basket: {diversity: 0.8}
already_bought:
  Refrigerators: once
  Milk: 7 days
  Bread: always
rules:
  - name: winter coats
    boost: 3
    where: {category: Coats, price: {max: 200}}
    from: 2026-11-01
    until: 2027-02-28
  - name: recall
    block: true
    where: {item: [007, "8"]}
  - name: own brand
    pin: 2
    where: {brand: [Endcap]}
    placements: [home, basket]
  - name: nearly gone
    bury: {points: 1.5}
    where: {stock: {max: 3}}
    days: [fri, sat]
    hours: [22:00-02:00, "9:30-12:00"]
"""


def test_a_file_says_rules_mixes_and_what_is_bought_again() -> None:
    rules = parse_rules(WHOLE)
    coats, recall, brand, gone = rules.rules
    assert (coats.action, coats.points) == ("boost", pytest.approx(math.log(3)))
    assert coats.where.price == Range(high=200)
    assert recall.where.items == ("007", "8")  # an id keeps its zeros
    assert (brand.position, brand.placements) == (2, {"home", "basket"})
    assert (gone.points, gone.window.days) == (-1.5, {4, 5})
    assert gone.window.minutes == ((1320, 120), (570, 720))
    assert (rules.mix, rules.mixes["basket"]) == (Mix(0.3, 4), Mix(0.8, None))
    waits = {"Refrigerators": FOR_GOOD, "Milk": 7 * DAY_MS, "Bread": 0}
    assert rules.waits_ms == waits


def test_an_empty_file_has_no_rules() -> None:
    assert parse_rules("").says_nothing
    assert parse_rules("# nothing yet\nrules: []\n").says_nothing


def test_a_day_without_a_time_is_the_shops_own_and_lasts_until_it_is_over() -> None:
    coats = parse_rules(WHOLE).rules[0].window
    assert coats.from_ms == 1_793_487_600_000  # 2026-11-01T00:00+01:00
    assert coats.until_ms == 1_803_855_600_000  # 2027-03-01T00:00+01:00


def test_until_the_last_day_that_there_is_means_for_good() -> None:
    text = "rules:\n- {name: a, block: true, where: {item: x}, until: 9999-12-31}"
    (rule,) = parse_rules(text).rules
    assert rule.window.until_ms == FOR_GOOD


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("rules:\n- name: a\n  boots: 2\n  where: {item: x}", 3, "Did you mean boost?"),
        ("rules:\n- name: a\n  where: {item: x}", 2, "none of them"),
        ("rules:\n- {}", 2, "needs a name"),
        ('rules:\n- {name: "a\\nb", block: true, where: {item: x}}', 2, "one line"),
        ("rules:\n- {name: a, boost: {factor: {factor: 2}}, where: {item: x}}", 2, "a number"),
        ("rules:\n- {name: a, boost: &f {factor: *f}, where: {item: x}}", 2, "a number"),
        ("rules:\n- name: a\n  pin: 1\n  block: true\n  where: {item: x}", 2, "block and pin"),
        ("rules:\n- {name: a, pin: 0, where: {item: x}}", 2, "from 1 to 100"),
        ("rules:\n- {name: a, pin: 1.5, where: {item: x}}", 2, "whole number"),
        ("rules:\n- {name: a, block: false, where: {item: x}}", 2, "left out"),
        ("rules:\n- {name: a, boost: 0.5, where: {item: x}}", 2, "from 1 to 1e+06"),
        ("rules:\n- {name: a, boost: nan, where: {item: x}}", 2, "from 1 to 1e+06"),
        ("rules:\n- {name: a, boost: {factor: 2, points: 1}, where: {item: x}}", 2, "one of"),
        ("rules:\n- {name: a, block: true, where: {}}", 2, "names no items"),
        ("rules:\n- {name: a, block: true}", 2, "needs where"),
        ("rules:\n- {block: true, where: {item: x}}", 2, "needs a name"),
        ("rules:\n- {name: a, block: true, where: {item: }}", 2, "empty"),
        ("rules:\n- {name: a, block: true, where: {price: {min: 3, max: 2}}}", 2, "exchange"),
        ("rules:\n- {name: a, block: true, where: {price: {min: cheap}}}", 2, "a number"),
        ("rules:\n- name: a\n  block: true\n  where: {item: x}\n  from: soon", 5, "2026-11-27"),
        ("rules:\n- name: a\n  block: true\n  where: {item: x}\n  hours: 25:00-26:00", 5, "hours"),
        ("rules:\n- name: a\n  block: true\n  where: {item: x}\n  days: someday", 5, "no day"),
        (
            "rules:\n- name: a\n  block: true\n  where: {item: x}\n  from: 2027-01-02\n"
            "  until: 2026-01-01",
            2,
            "before from",
        ),
        (
            "rules:\n- {name: a, block: true, where: {item: x}}\n"
            "- {name: a, pin: 1, where: {item: y}}",
            3,
            "line 2 too",
        ),
        ("diversity: 1.5", 1, "from 0 to 1"),
        ("timezone: Berlin", 1, "Europe/Berlin"),
        ("already_bought:\n  Milk: weekly", 2, "7 days"),
        ("placements:\n  my page: {diversity: 1}", 2, "placement's name"),
        ("rules:\n- {name: a\nx: 1", 3, "no YAML"),
        ("rules: {}", 1, "a list"),
        ("diversity: 0.1\ndiversity: 0.2", 2, "twice"),
        ("[" * 100_000, 1, "lie in one another"),
        ("x" * 300_000, 1, "256 KiB"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_to_do(text: str, line: int, says: str) -> None:
    with pytest.raises(FileMistakesError) as told:
        parse_rules(text)
    assert [m.line for m in told.value.mistakes if says in m.says] == [line], told.value


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    text = "diversity: 2\nrules:\n- {name: a, blok: true, where: {item: x}}\ntimezone: nowhere"
    with pytest.raises(FileMistakesError, match="4 mistakes") as told:
        parse_rules(text)
    assert [mistake.line for mistake in told.value.mistakes] == [1, 3, 3, 4]


@given(st.text(max_size=200) | st.text("-:{}[]&*!#,\n 'ab", max_size=200))
def test_whatever_is_no_rules_file_is_refused_in_words(text: str) -> None:
    with suppress(FileMistakesError):
        assert parse_rules(text).says_nothing


def test_names_that_the_shop_does_not_have_are_told_with_the_nearest() -> None:
    text = (
        "already_bought:\n  Coffe: once\nplacements:\n  hone: {per_category: 1}\nrules:\n"
        "- {name: a, block: true, where: {category: Cofee, item: x1, brand: x}, placements: [home]}"
    )
    known = KnownNames(
        frozenset({"x1"}), frozenset({"Coffee"}), frozenset(), frozenset({"home", "default"})
    )
    hints = sorted(unknown_names(parse_rules(text), known))
    assert [hint.line for hint in hints] == [2, 4, 6]
    assert hints[0].says.endswith("the category 'Coffe'. Did you mean Coffee?")
    assert hints[1].says.endswith("no placement is called 'hone'. Did you mean home?")
    assert hints[2].says.endswith("the category 'Cofee'. Did you mean Coffee?")


@pytest.mark.parametrize(
    ("hours", "local", "is_in_force"),
    [
        # In Berlin on 2026-03-29 it is 03:00 after 01:59.
        ("02:00-02:30", "2026-03-29T01:59+01:00", False),
        ("02:00-02:30", "2026-03-29T03:00+02:00", False),  # that half hour does not come
        ("02:00-04:00", "2026-03-29T03:00+02:00", True),
        ("22:00-02:30", "2026-03-29T03:00+02:00", False),
        # On 2026-10-25 it is 02:00 again after 02:59.
        ("02:00-02:30", "2026-10-25T02:15+02:00", True),
        ("02:00-02:30", "2026-10-25T02:45+02:00", False),
        ("02:00-02:30", "2026-10-25T02:15+01:00", True),
        ("22:00-00:00", "2026-10-25T23:59+01:00", True),
        ("22:00-00:00", "2026-10-26T00:00+01:00", False),
    ],
)
def test_hours_are_those_of_the_shops_clock_when_it_is_set_on_and_back(
    hours: str, local: str, is_in_force: bool
) -> None:
    rule = f"{{name: a, pin: 1, where: {{item: x}}, hours: '{hours}'}}"
    rules = parse_rules(f"timezone: Europe/Berlin\nrules: [{rule}]")
    assert rules.zone is not None
    now_ms = int(datetime.fromisoformat(local).timestamp() * 1000)
    assert is_open(rules.rules[0].window, now_ms, rules.zone) is is_in_force


def test_a_window_over_midnight_belongs_to_the_day_that_it_begins_on() -> None:
    rules = parse_rules(WHOLE)
    window, zone = rules.rules[3].window, rules.zone
    assert zone is not None
    friday_23 = 1_795_816_800_000 - 1_795_816_800_000 % 3_600_000  # 2026-11-27T23:00+01:00
    hours = {hour: is_open(window, friday_23 + hour * 3_600_000, zone) for hour in (-24, 0, 2, 3)}
    assert hours == {-24: False, 0: True, 2: True, 3: False}


def test_the_files_of_the_handbook_can_be_used() -> None:
    text = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
    rules, messages = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    assert [rule.action for rule in parse_rules(rules).rules] == ["boost", "block", "pin", "bury"]
    assert parse_messages(messages).say("together", "Brie") == "oft gekauft mit Brie"
