"""The uplifts of an experiment as a picture: each with its interval, over a line at none."""

from collections.abc import Iterator

from markupsafe import Markup

from endcap.deploy.picture_style import style
from endcap.experiments.intervals import Uplift
from endcap.experiments.report import MEASURES, Report
from endcap.svg import Scale, bar, dot, drawing, line, short, text, ticks

WIDTH = 640
LEFT, RIGHT, TOP, BOTTOM = 190, 130, 66, 54
ROW = 34
_CLIPPED = 0.5
"""An interval wider than 50 % either way says nothing more than that it is wide."""
_WORDS = {"click_through": "click-through", "conversion": "conversion"}


def uplift_picture(report: Report) -> str:
    """An SVG file: uplift over the control in percent, 95 % intervals, a line at no difference."""
    rows = list(_rows(report))
    bounds = [100 * _clip(end) for *_, uplift in rows if uplift for end in uplift[1:3]]
    steps = ticks(min([-2.0, *bounds]), max([2.0, *bounds]), 6)
    along = Scale(steps[0], steps[-1], LEFT, WIDTH - RIGHT)
    height = TOP + ROW * max(1, len(rows)) + BOTTOM
    bottom = height - BOTTOM
    title = f"{report.experiment}: uplift over {report.control}"
    marks = [style(), bar((0, 0), WIDTH, height, "paper", title), text(16, 24, title, "title")]
    alarm = "" if report.sample_ratio.is_sound else "; SAMPLE RATIO MISMATCH: do not believe it"
    marks.append(text(16, 45, f"95 % intervals by shopper; blue: leaves 0 out{alarm}", "axis"))
    for value in steps:
        x = along.at(value)
        marks.append(line((x, TOP - 8), (x, bottom), "floor" if value == 0 else "grid"))
        marks.append(text(x, bottom + 18, short(value), "axis", "middle"))
    for place, (name, measure, uplift) in enumerate(rows):
        marks += _row(TOP + ROW * place + ROW / 2, name, measure, uplift, along)
    marks.append(text(WIDTH - RIGHT, height - 12, "uplift, %", "axis", "end"))
    return str(drawing(WIDTH, height, title, marks))


def _rows(report: Report) -> Iterator[tuple[str, str, Uplift | None]]:
    for variant in report.variants:
        for measure in MEASURES:
            if measure in variant.uplifts:
                yield variant.name, measure, variant.uplifts[measure]


def _row(y: float, name: str, measure: str, uplift: Uplift | None, along: Scale) -> list[Markup]:
    marks = [
        text(LEFT - 14, y - 2, name, "", "end"),
        text(LEFT - 14, y + 12, _WORDS[measure], "axis", "end"),
    ]
    if uplift is None:
        return [*marks, text(WIDTH - RIGHT + 10, y + 4, "not known yet", "axis")]
    kind = "ours" if uplift.is_certain else "rival"
    low, middle, high = (
        along.at(100 * _clip(value)) for value in (uplift.low, uplift.value, uplift.high)
    )
    told = f"{uplift.value:+.1%} ({uplift.low:+.1%} to {uplift.high:+.1%})"
    return [
        *marks,
        bar((low, y - 2), high - low, 4, kind, told),
        dot((middle, y), 5, kind, f"{name}, {_WORDS[measure]}: {told}, p {uplift.p_value:.2g}"),
        text(WIDTH - RIGHT + 10, y - 2, f"{uplift.value:+.1%}"),
        text(WIDTH - RIGHT + 10, y + 12, f"{uplift.low:+.1%} to {uplift.high:+.1%}", "axis"),
    ]


def _clip(value: float) -> float:
    return min(_CLIPPED, max(-_CLIPPED, value))
