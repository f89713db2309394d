"""A backtest as a picture: the forecast's error by category, beside the best baseline's."""

from typing import Any

from markupsafe import Markup

from endcap.deploy.picture_style import style
from endcap.svg import Scale, bar, drawing, line, short, text, ticks

WIDTH = 720
LEFT, RIGHT, TOP, BOTTOM = 230, 120, 74, 48
ROW = 30
CATEGORIES = 15


def wape_picture(figures: dict[str, Any]) -> str:
    """An SVG file: WAPE of all items and of the largest categories, lower is better."""
    best = figures["best_baseline"]
    rows = [("all items", figures["wape"], figures["best_baseline_wape"], figures["items"])]
    for one in figures["categories"][:CATEGORIES]:
        theirs = one["baselines"][best]["wape"]
        rows.append((one["category"].capitalize(), one["wape"], theirs, one["items"]))
    steps = ticks(0.0, max(0.1, *(max(row[1], row[2]) for row in rows)), 6)
    along = Scale(0.0, steps[-1], LEFT, WIDTH - RIGHT)
    height = TOP + ROW * len(rows) + BOTTOM
    bottom = height - BOTTOM
    weeks = figures["held_out_weeks"]
    title = f"Forecast error of weeks {weeks[0]} to {weeks[-1]}, one week ahead"
    if next(iter(figures["horizons"])) != "1":
        title = title.replace("one week", f"{next(iter(figures['horizons']))} weeks")
    marks: list[Markup] = [style(), bar((0, 0), WIDTH, height, "paper", title)]
    marks.append(text(16, 24, title, "title"))
    words = best.replace("_", " ")
    marks.append(text(16, 46, f"WAPE; blue: endcap, brown: {words}. Lower is better", "axis"))
    for value in steps:
        x = along.at(value)
        marks.append(line((x, TOP - 8), (x, bottom), "grid"))
        marks.append(text(x, bottom + 18, short(value), "axis", "middle"))
    for place, (name, ours, theirs, items) in enumerate(rows):
        y = TOP + ROW * place
        hint = f"{name}, {items} items: endcap {ours:.3f}, {words} {theirs:.3f}"
        marks.append(text(LEFT - 12, y + 15, name, "", "end"))
        marks.append(bar((LEFT, y + 2), along.at(ours) - LEFT, 9, "ours", hint))
        marks.append(bar((LEFT, y + 13), along.at(theirs) - LEFT, 9, "rival", hint))
        told = f"{ours:.3f} / {theirs:.3f}"
        marks.append(text(WIDTH - RIGHT + 10, y + 15, told, "axis"))
    return str(drawing(WIDTH, height, title, marks))
