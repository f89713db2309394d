"""Pictures of a campaign report: Qini curves, uplift by segment, reach by group."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from endcap.deploy.picture_style import style
from endcap.svg import Scale, bar, dot, drawing, line, path, short, text, ticks

WIDTH = 640
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 110, 66, 54
_ROW = 30
_WORDS = {"uplift": "uplift", "response": "response", "spent_most": "spent most"}


def qini_picture(curves: Mapping[str, Sequence[float]], note: str) -> str:
    """Gain per shopper over the share addressed, in dollars; the dashed line is a random choice."""
    height, bottom = 400, 400 - _BOTTOM
    every = [value for each in curves.values() for value in each]
    steps = ticks(min(0.0, *every), max(every), 5)
    up = Scale(steps[0], steps[-1], bottom, _TOP)
    along = Scale(0, 100, _LEFT, WIDTH - _RIGHT)
    marks = _frame(height, "Who is addressed first: gain by share", note)
    for value in steps:
        y = up.at(value)
        marks.append(line((_LEFT, y), (WIDTH - _RIGHT, y), "grid"))
        marks.append(text(_LEFT - 8, y + 4, short(value), "axis", "end"))
    for value in (0, 25, 50, 75, 100):
        marks.append(text(along.at(value), bottom + 18, f"{value} %", "axis", "middle"))
    end = next(iter(curves.values()))[-1]
    marks.append(line((along.at(0), up.at(0)), (along.at(100), up.at(end)), "floor"))
    marks.append(text(WIDTH - _RIGHT + 8, up.at(end) + 4, "random", "axis"))
    for name, values in curves.items():
        kind = "ours" if name == "uplift" else "rival"
        last = len(values) - 1
        points = [(along.at(100 * n / last), up.at(v)) for n, v in enumerate(values)]
        marks.append(path(points, kind))
        place = last // (2 if name != "spent_most" else 3)
        x, y = points[place]
        marks.append(text(x, y - 7, _WORDS[name], "axis", "middle"))
    marks.append(text(WIDTH - _RIGHT, height - 10, "shoppers addressed", "axis", "end"))
    return str(drawing(WIDTH, height, "Qini curves", marks))


def segments_picture(rows: Sequence[Mapping[str, Any]], note: str) -> str:
    """Expected uplift as a dot, achieved as a dot on its interval."""
    left, height = 210, _TOP + _ROW * max(1, len(rows)) + _BOTTOM
    bounds = [value for row in rows for value in (*row["interval"], row["expected"])] or [0.0, 1.0]
    steps = ticks(min(bounds), max(bounds), 6)
    along = Scale(steps[0], steps[-1], left, WIDTH - 24)
    marks = _frame(height, "Uplift by segment, dollars per shopper", note)
    for value in steps:
        x = along.at(value)
        kind = "floor" if value == 0 else "grid"
        marks.append(line((x, _TOP - 8), (x, height - _BOTTOM), kind))
        marks.append(text(x, height - _BOTTOM + 18, short(value), "axis", "middle"))
    for place, row in enumerate(rows):
        y = _TOP + _ROW * place + _ROW / 2
        low, high = (along.at(value) for value in row["interval"])
        told = (
            f"achieved {row['achieved']:.2f} ({row['interval'][0]:.2f}, {row['interval'][1]:.2f})"
        )
        marks += [
            text(left - 12, y + 4, row["segment"], "", "end"),
            bar((low, y - 1.5), high - low, 3, "ours", told),
            dot((along.at(row["achieved"]), y), 5, "ours", told),
            dot((along.at(row["expected"]), y), 4, "rival", f"expected {row['expected']:.2f}"),
        ]
    marks.append(text(16, height - 12, "blue: achieved, 95 %; orange: expected", "axis"))
    return str(drawing(WIDTH, height, "Uplift by segment", marks))


def result_picture(found: Mapping[str, Any]) -> str:
    """A campaign's holdout read back: all, thirds of what was expected, segments."""
    groups = [("all", found)]
    groups += [(f"expected: {row['expected_uplift']}", row) for row in found["by_expected"]]
    groups += [(row["segment"], row) for row in found["segments"]]
    rows = [{**row, "segment": name} for name, row in groups if row["interval"] is not None]
    ratio = found.get("sample_ratio")
    is_sound = ratio is None or ratio["is_sound"]
    note = "By lot: 95 %, of a permutation test" if is_sound else "SAMPLE RATIO MISMATCH"
    return segments_picture(rows, f"{found['campaign']}. {note}")


def reach_picture(rows: Sequence[Mapping[str, Any]], note: str) -> str:
    """The share of each group that is reached by uplift, and by the shop's own choice."""
    left, height = 230, _TOP + 20 * max(1, len(rows)) + _BOTTOM
    most = max((max(row["uplift"][2], row["shop"][0]) for row in rows), default=1.0)
    steps = ticks(0, 100 * most, 5)
    along = Scale(0, steps[-1], left, WIDTH - 24)
    marks = _frame(height, "Reach by group, % of its households and campaigns", note)
    for value in steps:
        x = along.at(value)
        marks.append(line((x, _TOP - 8), (x, height - _BOTTOM), "grid"))
        marks.append(text(x, height - _BOTTOM + 18, short(value), "axis", "middle"))
    for place, row in enumerate(rows):
        y = _TOP + 20 * place + 10
        value, low, high = (along.at(100 * each) for each in row["uplift"])
        told = f"by uplift {row['uplift'][0]:.0%}"
        name = f"{row['attribute'].replace('_', ' ')}: {row['group']}"
        marks += [
            text(left - 12, y + 4, name, "", "end"),
            bar((low, y - 1.5), high - low, 3, "ours", told),
            dot((value, y), 4, "ours", told),
            dot((along.at(100 * row["shop"][0]), y), 4, "rival", f"shop {row['shop'][0]:.0%}"),
        ]
    marks.append(text(16, height - 12, "blue: first 30 % by uplift; orange: the shop's", "axis"))
    return str(drawing(WIDTH, height, "Reach by group", marks))


def _frame(height: float, title: str, note: str) -> list[Markup]:
    return [
        style(),
        bar((0, 0), WIDTH, height, "paper", title),
        text(16, 24, title, "title"),
        text(16, 45, note, "axis"),
    ]
