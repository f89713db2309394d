"""Pictures of what was measured, as SVG files that carry their own colours, light and dark."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from endcap.deploy.bench.record import Record
from endcap.deploy.picture_style import style
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

WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 62, 54
KEY, KEY_STEP = 110, 132
"""Where the key starts, and the width of an entry."""


class Series(NamedTuple):
    """`kind`: the class that colours it."""

    name: str
    kind: str
    points: Sequence[Point]


def pictures_of(record: Record) -> dict[str, str]:
    """File names and drawings of one benchmark; none where it took no figures for any."""
    if record.benchmark == "latency" and record.found.get("histogram"):
        return {"latency.svg": latency_picture(record.found)}
    if record.benchmark == "rescore" and record.found.get("by_batch"):
        return {"batches.svg": batches_picture(record.found["by_batch"])}
    return {}


def latency_picture(found: Mapping[str, Any]) -> str:
    """Shares of events by the time to their list, both forms, on a scale of powers of ten; the
    floor's p50 and p99 as upright lines."""
    forms = [("one process", "ours", found), ("two processes", "rival", found["two_process"])]
    floor = found["floor_ms"]
    edges = [edge for *_, form in forms for edge in form["histogram"]["edges_ms"]]
    low = math.log10(min(*edges, floor["p50"])) - 0.05  # the lowest line stands off the axis
    high = math.log10(max(*edges, floor["p99"]))
    along = Scale(low, high, LEFT, WIDTH - RIGHT)
    shown = [Series(name, kind, _outline(form["histogram"])) for name, kind, form in forms]
    up, marks = _shares(max(share for one in shown for _, share in one.points))
    marks += _time_ticks(along)
    for one in reversed(shown):
        places = [(along.at(math.log10(ms)), up.at(share)) for ms, share in one.points]
        marks += [area(places, f"fill {one.kind}"), path(places, one.kind)]
    for quantile in ("p50", "p99"):
        x = along.at(math.log10(floor[quantile]))
        marks.append(line((x, TOP), (x, HEIGHT - BOTTOM), "floor"))
    key = KEY + KEY_STEP * len(shown)
    words = f"floor: p50 {floor['p50']:.3g}, p99 {floor['p99']:.3g} ms"
    marks += [line((key, 41), (key + 14, 41), "floor"), text(key + 20, 45, words)]
    return _finished("From an event to its list", "events, %", "milliseconds", shown, marks)


def batches_picture(rows: Sequence[Mapping[str, float]]) -> str:
    """Shoppers a second of one core against the shoppers in a batch, each size at the same
    distance."""
    shown = [
        Series(name, kind, [(place, row[key]) for place, row in enumerate(rows)])
        for name, kind, key in (
            ("ours", "ours", "users_per_s_per_core"),
            ("the padded graph", "rival", "padded_users_per_s_per_core"),
        )
    ]
    up, marks = _shares(max(value for one in shown for _, value in one.points))
    along = Scale(0, max(1, len(rows) - 1), LEFT + 24, WIDTH - RIGHT - 24)
    marks += [
        text(along.at(place), HEIGHT - BOTTOM + 18, f"{row['batch']:g}", "axis", "middle")
        for place, row in enumerate(rows)
    ]
    for one in reversed(shown):
        places = [(along.at(x), up.at(value)) for x, value in one.points]
        marks.append(path(places, one.kind))
        for place, row, (_, value) in zip(places, rows, one.points, strict=True):
            hint = f"{one.name}, batches of {row['batch']:g}: {value:,.0f} shoppers/s"
            marks.append(dot(place, 3.5, one.kind, hint))
    return _finished(
        "Candidates to scores on one core", "shoppers/s", "shoppers a batch", shown, marks
    )


def _outline(histogram: Mapping[str, Sequence[float]]) -> list[Point]:
    """Steps from the ground to each bin's percentage of all, and back to the ground."""
    edges, counts = histogram["edges_ms"], histogram["counts"]
    whole = sum(counts)
    points = [(edges[0], 0.0)]
    for count, start, end in zip(counts, edges, edges[1:], strict=False):
        points += [(start, 100 * count / whole), (end, 100 * count / whole)]
    return [*points, (edges[-1], 0.0)]


def _shares(highest: float) -> tuple[Scale, list[Markup]]:
    steps = ticks(0, highest)
    up = Scale(steps[0], steps[-1], HEIGHT - BOTTOM, TOP)
    marks = []
    for value in steps:
        y = up.at(value)
        words = f"{value:,.0f}" if value >= 1000 else short(value)
        marks += [line((LEFT, y), (WIDTH - RIGHT, y), "grid")]
        marks += [text(LEFT - 8, y + 4, words, "axis", "end")]
    return up, marks


def _time_ticks(along: Scale) -> list[Markup]:
    wide = along.high - along.low > 2.5
    values = [
        factor * 10.0**power
        for power in range(math.floor(along.low), math.ceil(along.high) + 1)
        for factor in ((1,) if wide else (1, 2, 5))
    ]
    inside = [v for v in values if along.low <= math.log10(v) <= along.high]
    return [
        mark
        for value in inside
        for mark in (
            line(
                (along.at(math.log10(value)), TOP),
                (along.at(math.log10(value)), HEIGHT - BOTTOM),
                "grid",
            ),
            text(
                along.at(math.log10(value)), HEIGHT - BOTTOM + 18, f"{value:,g}", "axis", "middle"
            ),
        )
    ]


def _finished(
    title: str, y_title: str, x_title: str, shown: Sequence[Series], marks: Sequence[Markup]
) -> str:
    key = [
        mark
        for place, one in enumerate(shown)
        for mark in (
            bar((KEY + KEY_STEP * place, 37), 14, 8, one.kind, one.name),
            text(KEY + 20 + KEY_STEP * place, 45, one.name),
        )
    ]
    frame = [
        style(),
        bar((0, 0), WIDTH, HEIGHT, "paper", title),
        text(16, 24, title, "title"),
        text(16, 45, y_title, "axis"),
        text(WIDTH - RIGHT, HEIGHT - 12, x_title, "axis", "end"),
    ]
    return str(drawing(WIDTH, HEIGHT, title, [*frame, *key, *marks]))
