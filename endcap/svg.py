"""Marks of a drawing as SVG: text, lines, shapes, and scales that place values on them.

Colours are classes: of page.css, or of a style among the marks; words are escaped.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

Point = tuple[float, float]


class Scale(NamedTuple):
    """Values from `low` to `high` lie on pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value; what is outside lies on the edge."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)


def ticks(low: float, high: float, wished: int = 4) -> tuple[float, ...]:
    """Round values from at or below `low` to at or above `high`, about `wished` steps apart.

    >>> ticks(0, 57)
    (0.0, 20.0, 40.0, 60.0)
    """
    if high <= low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / wished
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(n * step, 12) for n in range(first, last + 1))


def short(value: float) -> str:
    """A tick's number without zeros at its end."""
    return f"{value:.6g}"


def drawing(width: float, height: float, title: str, marks: Sequence[Markup]) -> Markup:
    """A whole SVG that scales with its place; `title` is what a screen reader says."""
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:.0f} {:.0f}" role="img" '
        'aria-label="{}">{}</svg>'
    ).format(width, height, title, Markup("").join(marks))


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> Markup:
    """Words, their base line at y; `anchor`: start, middle or end."""
    return Markup('<text x="{:.1f}" y="{:.1f}" class="{}" text-anchor="{}">{}</text>').format(
        x, y, kind, anchor, words
    )


def line(start: Point, end: Point, kind: str) -> Markup:
    """A straight line."""
    return Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>').format(
        *start, *end, kind
    )


def path(points: Sequence[Point], kind: str) -> Markup:
    """A line through points."""
    steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Markup('<polyline points="{}" class="{}"/>').format(steps, kind)


def area(points: Sequence[Point], kind: str) -> Markup:
    """A filled shape."""
    steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Markup('<polygon points="{}" class="{}"/>').format(steps, kind)


def bar(corner: Point, width: float, height: float, kind: str, hint: str) -> Markup:
    """A bar; `hint` shows under the pointer."""
    return Markup(
        '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="2" class="{}">'
        "<title>{}</title></rect>"
    ).format(*corner, max(width, 0.5), height, kind, hint)


def dot(centre: Point, radius: float, kind: str, hint: str) -> Markup:
    """A dot; `hint` shows under the pointer."""
    return Markup(
        '<circle cx="{:.1f}" cy="{:.1f}" r="{:.1f}" class="{}"><title>{}</title></circle>'
    ).format(*centre, radius, kind, hint)
