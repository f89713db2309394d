"""The report as one HTML page that needs nothing else, and the JSON behind it."""

from pathlib import Path

import jinja2
import msgspec
from markupsafe import Markup

from endcap.export.measures.groups import GAP_MEASURE
from endcap.export.report.charts import Bar, Dot, Series, bars, dots, lines
from endcap.export.report.found import OURS, Found
from endcap.export.report.labels import (
    ACCURACY,
    AS_NUMBERS,
    BEYOND,
    METHODS,
    PROTOCOLS,
    WANTED,
    shown_value,
)
from endcap.export.report.verdict import best_opponent, signed, table, tiles

HERE = Path(__file__).parent
VALIDATION_KINDS = ("ours", "rival", "wanted", "other")
"""Lines that can be told apart; further measures of validation stay in report.json."""


def write_report(folder: Path, found: Found) -> Path:
    """Write report.html and report.json into `folder`, which is made; give back the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"
    )
    page = folder / "report.html"
    page.write_text(render(found), encoding="utf-8")
    return page


def render(found: Found) -> str:
    """The page. Everything in it comes from `found`; all words are escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown_as"] = _shown_as
    environment.filters["signed"] = signed
    protocol = PROTOCOLS[found.protocol]
    deciding = protocol.measures[0]
    return environment.get_template("page.html.jinja").render(
        found=found,
        ours=OURS,
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704  our own file
        asks=protocol.asks,
        measures=protocol.measures,
        deciding=deciding,
        label=ACCURACY[deciding][0],
        accuracy=ACCURACY,
        beyond={key: words for key, words in BEYOND.items() if key in found.metrics},
        wanted=WANTED,
        as_numbers=AS_NUMBERS,
        methods=METHODS,
        largest=max(found.gaps, key=lambda gap: gap.better_gets - gap.worse_gets, default=None),
        gap_label=ACCURACY[GAP_MEASURE][0],
        rows=table(found),
        tiles=tiles(found),
        rival=_rival(found),
        pictures=_pictures(found, deciding),
        validation_key=[
            (kind, ACCURACY[m][0])
            for m, kind in zip(_validated(found), VALIDATION_KINDS, strict=False)
        ],
    )


def _shown_as(value: float, measure: str) -> str:
    return shown_value(measure, value)


def _pictures(found: Found, measure: str) -> dict[str, Markup]:
    """Each picture by its name; those without data are left out."""
    label, rival = ACCURACY[measure][0], _rival(found)
    pictures = {
        "accuracy": bars(f"{label} of each ranker", _accuracy_bars(found, measure), f"{label}, %"),
        "coverage": dots(
            f"Coverage against {label}",
            [
                Dot(name, 100 * values["coverage"], 100 * values[measure], _kind(name, rival))
                for name, values in found.rankers().items()
            ],
            "coverage, %",
            f"{label}, %",
        ),
    }
    if found.history:
        pictures["history"] = lines(
            f"{label} by length of the history",
            [band.name for band in found.history],
            [
                Series(name, [_percent(b.rankers[name]) for b in found.history], _kind(name, rival))
                for name in _back_to_front(found, rival)
            ],
            "events in the history",
            f"{label}, %",
        )
    pictures["popularity"] = lines(
        "What was shown and what was wanted, by popularity",
        [f"{band.n_items:,}" for band in found.popularity],
        [
            *(
                Series(name, [_flat(b.shown[name]) for b in found.popularity], _kind(name, rival))
                for name in (rival, OURS)
                if name
            ),
            Series("wanted", [_flat(band.wanted) for band in found.popularity], "wanted"),
        ],
        "items in the band, the most popular first",
        "share, %",
    )
    return pictures | _training_pictures(found)


def _training_pictures(found: Found) -> dict[str, Markup]:
    pictures: dict[str, Markup] = {}
    if found.training:
        epochs = [str(epoch.number) for epoch in found.training]
        losses = [(epoch.loss, epoch.loss, epoch.loss) for epoch in found.training]
        pictures["loss"] = lines(
            "Training loss", epochs, [Series("loss", losses, "ours")], "epoch", "loss"
        )
        measures = _validated(found)
        if measures:
            pictures["validation"] = lines(
                "Validation by epoch",
                epochs,
                [
                    Series(
                        ACCURACY[m][0],
                        [
                            _flat(e.validation[m]) if m in e.validation else None
                            for e in found.training
                        ],
                        kind,
                    )
                    for m, kind in reversed(list(zip(measures, VALIDATION_KINDS, strict=False)))
                ],
                "epoch",
                "%",
            )
    if found.importance:
        largest = sorted(found.importance.items(), key=lambda row: -abs(row[1]))[:16]
        pictures["importance"] = bars(
            "Weight of each input", [Bar(n, v, v, v, "ours") for n, v in largest], "weight"
        )
    return pictures


def _validated(found: Found) -> list[str]:
    """Measures that were taken after epochs."""
    return [m for m in ACCURACY if any(m in epoch.validation for epoch in found.training)]


def _accuracy_bars(found: Found, measure: str) -> list[Bar]:
    rows = []
    for row in table(found):
        cell = row.cells[0]
        if cell is not None:
            low, high = found.intervals.get(row.name, {}).get(measure, (cell.value, cell.value))
            if row.kind == "published":
                low = high = cell.value
            rows.append(Bar(row.name, 100 * cell.value, 100 * low, 100 * high, row.kind))
    return rows


def _rival(found: Found) -> str:
    """The opponent to look at beside endcap; empty without one."""
    gain = best_opponent(found, PROTOCOLS[found.protocol].measures[0])
    return gain.over if gain is not None else ""


def _back_to_front(found: Found, rival: str) -> list[str]:
    others = [name for name in found.opponents if name != rival]
    return [*others, *([rival] if rival else []), OURS]


def _kind(name: str, rival: str) -> str:
    return "ours" if name == OURS else "rival" if name == rival else "other"


def _percent(values: tuple[float, float, float]) -> tuple[float, float, float]:
    value, low, high = values
    return 100 * value, 100 * low, 100 * high


def _flat(share: float) -> tuple[float, float, float]:
    return 100 * share, 100 * share, 100 * share
