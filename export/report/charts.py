"""The three kinds of pictures in a report: bars, lines over steps, and dots in two measures."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from endcap.svg import (
    Point,
    Scale,
    area,
    bar,
    dot,
    drawing,
    line,
    path,
    short,
    text,
    ticks,
)

WIDTH = 460
"""About that of a phone: words are drawn at 12, and a picture there shrinks by a fifth."""
HEIGHT = 250
LEFT, RIGHT, TOP, BOTTOM = 38, 12, 14, 44
LABEL = 128
ROW = 27
_LETTER, _BOLD = 6.6, 8.0
"""How wide a letter is at most, on average, in the fonts of browsers."""


class Bar(NamedTuple):
    """`low` and `high` are 95 % bounds; equal to `value` where none are known."""

    name: str
    value: float
    low: float
    high: float
    kind: str


class Series(NamedTuple):
    """A line: (value, low, high) at each step; None where there is none."""

    name: str
    values: Sequence[tuple[float, float, float] | None]
    kind: str


class Dot(NamedTuple):
    """One ranker in two measures."""

    name: str
    x: float
    y: float
    kind: str


class Box(NamedTuple):
    """A place on a picture that something fills."""

    left: float
    right: float
    top: float
    bottom: float


def bars(title: str, rows: Sequence[Bar], unit: str) -> Markup:
    """Bars from the left, the first on top, each with its bounds and its value."""
    steps = ticks(min(0.0, *(row.low for row in rows)), max(row.high for row in rows))
    across = Scale(steps[0], steps[-1], LABEL + 8, WIDTH - 58)
    height = TOP + ROW * len(rows) + 26
    marks = [_upright(across.at(v), TOP - 4, height - 26, v) for v in steps]
    for place, row in enumerate(rows):
        y = TOP + ROW * place
        start, end = across.at(0), across.at(row.value)
        bounds = f", 95 %: {row.low:.2f} to {row.high:.2f}" if row.high > row.low else ""
        hint = f"{row.name}: {row.value:.2f} {unit}{bounds}"
        marks += [
            text(LABEL, y + 15, _cut(row.name, LABEL), f"label {row.kind}", "end"),
            bar((min(start, end), y + 3), abs(end - start), ROW - 9, row.kind, hint),
            text(WIDTH - 2, y + 15, f"{row.value:.2f}", f"value {row.kind}", "end"),
        ]
        if row.high > row.low:
            middle = y + 3 + (ROW - 9) / 2
            low, high = across.at(row.low), across.at(row.high)
            marks += [line((low, middle), (high, middle), "whisker")]
            marks += [line((x, middle - 4), (x, middle + 4), "whisker") for x in (low, high)]
    marks.append(text(LABEL, height - 10, unit, "axis", "end"))
    return drawing(WIDTH, height, title, marks)


def lines(
    title: str, steps: Sequence[str], series: Sequence[Series], x_title: str, unit: str
) -> Markup:
    """A line for each series over the same steps, the last in front; bounds as a band behind."""
    held = [value for one in series for value in one.values if value is not None]
    y_ticks = ticks(min(0.0, *(v[1] for v in held)), max(v[2] for v in held))
    up = Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP + 16)
    along = Scale(0, max(1, len(steps) - 1), LEFT + 14, WIDTH - RIGHT - 14)
    marks = [
        mark
        for value in y_ticks
        for mark in (
            line((LEFT, up.at(value)), (WIDTH - RIGHT, up.at(value)), "grid"),
            text(LEFT - 6, up.at(value) + 4, short(value), "axis", "end"),
        )
    ]
    every = -(-len(steps) // 10)
    marks += [
        text(along.at(place), HEIGHT - BOTTOM + 16, name, "axis", "middle")
        for place, name in enumerate(steps)
        if place % every == 0
    ]
    marks += [
        text(WIDTH - RIGHT, HEIGHT - 6, x_title, "axis", "end"),
        text(2, 12, unit, "axis"),
    ]
    for one in series:
        known = [(along.at(n), v) for n, v in enumerate(one.values) if v is not None]
        above = [(x, up.at(high)) for x, (_, _, high) in known]
        below = [(x, up.at(low)) for x, (_, low, _) in known]
        if above != below and one.kind != "other":  # of many grey bands none can be read
            marks.append(area([*above, *reversed(below)], f"band {one.kind}"))
        marks.append(path([(x, up.at(value)) for x, (value, _, _) in known], one.kind))
        for place, value in enumerate(one.values):
            if value is not None:
                hint = f"{one.name}, {steps[place]}: {value[0]:.2f} {unit}"
                marks.append(dot((along.at(place), up.at(value[0])), 2.6, one.kind, hint))
    return drawing(WIDTH, HEIGHT, title, marks)


def dots(title: str, points: Sequence[Dot], x_title: str, y_title: str) -> Markup:
    """Rankers as dots, each with its name beside it; names move apart where they would overlap."""
    x_ticks = ticks(0, max(point.x for point in points))
    y_ticks = ticks(0, max(point.y for point in points))
    along = Scale(x_ticks[0], x_ticks[-1], LEFT, WIDTH - RIGHT)
    up = Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP + 16)
    marks = [_upright(along.at(v), TOP + 16, HEIGHT - BOTTOM, v) for v in x_ticks]
    for value in y_ticks:
        marks += [
            line((LEFT, up.at(value)), (WIDTH - RIGHT, up.at(value)), "grid"),
            text(LEFT - 6, up.at(value) + 4, short(value), "axis", "end"),
        ]
    centres = {point: (along.at(point.x), up.at(point.y)) for point in points}
    taken = [Box(x - 5, x + 5, y - 5, y + 5) for x, y in centres.values()]
    for point in sorted(points, key=lambda p: (p.kind != "ours", -p.y)):
        centre = centres[point]
        hint = f"{point.name}: {x_title} {point.x:.2f}, {y_title} {point.y:.2f}"
        letter = _BOLD if point.kind == "ours" else _LETTER
        place = _free_place(centre, letter * len(point.name), taken)
        taken.append(place)
        marks += [
            dot(centre, 5 if point.kind == "ours" else 4, point.kind, hint),
            text(place.left, place.bottom - 3, point.name, f"label {point.kind}"),
        ]
    marks += [
        text(WIDTH - RIGHT, HEIGHT - 6, x_title, "axis", "end"),
        text(2, 12, y_title, "axis"),
    ]
    return drawing(WIDTH, HEIGHT, title, marks)


def _upright(x: float, top: float, bottom: float, value: float) -> Markup:
    tick = text(x, bottom + 16, short(value), "axis", "middle")
    return line((x, top), (x, bottom), "grid") + tick


def _free_place(centre: Point, width: float, taken: Sequence[Box]) -> Box:
    """Where a dot's name stands: right, left, over or under it; else right and further down."""
    x, y = centre
    lefts = (x + 8, x - 8 - width, x - width / 2, x - width / 2)
    tops = (y - 8, y - 8, y - 23, y + 7)
    places = [Box(a, a + width, b, b + 15) for a, b in zip(lefts, tops, strict=True)]
    places += [Box(x + 8, x + 8 + width, b, b + 15) for b in (y + 6 + 14 * n for n in range(9))]
    inside = [place for place in places if place.left >= 0 and place.right <= WIDTH]
    free = [p for p in inside if not any(_overlap(p, other) for other in taken)]
    return (free or inside or places)[0]


def _overlap(one: Box, other: Box) -> bool:
    return (
        one.left < other.right
        and other.left < one.right
        and one.top < other.bottom
        and other.top < one.bottom
    )


def _cut(words: str, width: float) -> str:
    longest = int(width / _LETTER)
    return words if len(words) <= longest else words[: longest - 1] + "…"
