"""The answer in one look: the rankers in order, and what to say of endcap among them."""

from typing import NamedTuple

from endcap.export.report.found import OURS, Found, Gain
from endcap.export.report.labels import ACCURACY, PROTOCOLS


class Cell(NamedTuple):
    """One measure of one ranker. `margin`: half of its 95 % interval, 0 where none is known.

    `gain`: endcap's over it, as a share; `is_certain`: whether that is more than chance.
    """

    measure: str
    value: float
    margin: float
    gain: float | None
    is_certain: bool
    is_best: bool


class Row(NamedTuple):
    """A ranker in the first table. `kind`: ours, opponent or published; `source` of a figure."""

    name: str
    kind: str
    source: str
    cells: tuple[Cell | None, ...]


class Tile(NamedTuple):
    """A figure and what it says. `mood`: good, bad or plain."""

    figure: str
    words: str
    mood: str


def table(found: Found) -> tuple[Row, ...]:
    """Ours, the opponents and the published, best first by the measure that decides."""
    measures = PROTOCOLS[found.protocol].measures
    entries = [(OURS, "ours", "", found.metrics)]
    entries += [(name, "opponent", "", values) for name, values in found.opponents.items()]
    entries += [(p.ranker, "published", p.source, p.metrics) for p in found.published]
    best = {m: max(values[m] for *_, values in entries if m in values) for m in measures}
    rows = [
        Row(
            name,
            kind,
            source,
            tuple(
                _cell(found, name, kind, m, values[m], best[m]) if m in values else None
                for m in measures
            ),
        )
        for name, kind, source, values in entries
    ]
    return tuple(sorted(rows, key=lambda row: -(row.cells[0].value if row.cells[0] else -1.0)))


def tiles(found: Found) -> tuple[Tile, ...]:
    """What endcap reaches, how far it is from the best opponent and the best published figures."""
    first, second = PROTOCOLS[found.protocol].measures[:2]
    shown = [
        Tile(
            f"{100 * found.metrics[first]:.2f} %",
            f"{ACCURACY[first][0]} of {OURS}, and {ACCURACY[second][0]}"
            f" {100 * found.metrics[second]:.2f} %, over {found.n_cases:,} cases",
            "plain",
        )
    ]
    rival = best_opponent(found, first)
    if rival is not None:
        shown.append(_against_opponent(found, rival, second))
    if any(first in published.metrics for published in found.published):
        shown.append(_against_published(found, first, second))
    n = len(found.warnings)
    words = "warnings to read before it goes to shoppers" if n else "warnings: all within bounds"
    return (*shown, Tile(str(n), words, "bad" if n else "good"))


def best_opponent(found: Found, measure: str) -> Gain | None:
    """endcap's gain over the opponent that is best by a measure; None without opponents."""
    if not found.opponents:
        return None
    name = max(found.opponents, key=lambda opponent: found.opponents[opponent][measure])
    return next(g for g in found.gains if (g.over, g.measure) == (name, measure))


def signed(share: float | None) -> str:
    """A gain as a person says it: a percentage, or a multiple from ten times on."""
    if share is None:
        return "from nothing"
    if share >= 9:
        return f"×{1 + share:,.0f}"
    return f"{100 * share:+.1f} %".replace("-", "−")


def _against_opponent(found: Found, rival: Gain, second: str) -> Tile:
    theirs = 100 * found.opponents[rival.over][rival.measure]
    bounds = f"{100 * rival.low:+.2f} to {100 * rival.high:+.2f}".replace("-", "−")
    other = best_opponent(found, second)
    also = (
        f". {ACCURACY[second][0]}: {signed(other.relative)} against {other.over}" if other else ""
    )
    return Tile(
        signed(rival.relative),
        f"{ACCURACY[rival.measure][0]} against {rival.over}, the best opponent measured here"
        f" ({theirs:.2f} %): {bounds} points with 95 % confidence"
        f"{'' if rival.is_certain else ', may be chance'}{also}",
        _mood(rival.value, rival.is_certain),
    )


def _against_published(found: Found, first: str, second: str) -> Tile:
    said = []
    for measure in (first, second):
        figures = [p for p in found.published if measure in p.metrics]
        if figures:
            best = max(figures, key=lambda p: p.metrics[measure])
            said.append((measure, found.metrics[measure] / best.metrics[measure] - 1, best))
    (measure, gain, best), *others = said
    also = "".join(
        f". {ACCURACY[m][0]}: {signed(g)} against {p.ranker}'s {100 * p.metrics[m]:.2f} %"
        for m, g, p in others
    )
    return Tile(
        signed(gain),
        f"{ACCURACY[measure][0]} against {best.ranker}, the best published figure known here"
        f" ({100 * best.metrics[measure]:.2f} %){also}",
        _mood(gain, True),
    )


def _cell(found: Found, name: str, kind: str, measure: str, value: float, best: float) -> Cell:
    low, high = found.intervals.get(name, {}).get(measure, (value, value))
    if kind == "published":
        gain = found.metrics[measure] / value - 1 if value > 0 else None
        return Cell(measure, value, 0.0, gain, True, value >= best)
    gains = [g for g in found.gains if (g.over, g.measure) == (name, measure)]
    gain, is_certain = (gains[0].relative, gains[0].is_certain) if gains else (None, True)
    return Cell(measure, value, (high - low) / 2, gain, is_certain, value >= best)


def _mood(value: float, is_certain: bool) -> str:
    return ("good" if value > 0 else "bad") if is_certain else "plain"
