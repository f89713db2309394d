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
    """What endcap reaches, how far it is from the best opponent and the best published figure."""
    measure = PROTOCOLS[found.protocol].measures[0]
    ours, label = found.metrics[measure], ACCURACY[measure][0]
    shown = [
        Tile(f"{100 * ours:.2f} %", f"{label} of {OURS} over {found.n_cases:,} cases", "plain")
    ]
    rival = best_opponent(found, measure)
    if rival is not None:
        theirs = 100 * found.opponents[rival.over][measure]
        low, high = 100 * rival.low, 100 * rival.high
        chance = "" if rival.is_certain else "; may be chance"
        shown.append(
            Tile(
                _signed(rival.relative),
                f"against {rival.over}, the best opponent measured here ({theirs:.2f} %):"
                f" {low:+.2f} to {high:+.2f} points with 95 % confidence{chance}",
                _mood(rival.value, rival.is_certain),
            )
        )
    published = [p for p in found.published if measure in p.metrics]
    if published:
        best = max(published, key=lambda p: p.metrics[measure])
        gain = ours / best.metrics[measure] - 1
        shown.append(
            Tile(
                _signed(gain),
                f"against {best.ranker}, the best published figure known here"
                f" ({100 * best.metrics[measure]:.2f} %; {best.source})",
                _mood(gain, True),
            )
        )
    n = len(found.warnings)
    words = "warnings to read before it goes to shoppers" if n else "warnings: all within bounds"
    shown.append(Tile(str(n), words, "bad" if n else "good"))
    return tuple(shown)


def best_opponent(found: Found, measure: str) -> Gain | None:
    """endcap's gain over the opponent that is best by a measure; None without opponents."""
    if not found.opponents:
        return None
    name = max(found.opponents, key=lambda opponent: found.opponents[opponent][measure])
    return next(g for g in found.gains if (g.over, g.measure) == (name, measure))


def _cell(found: Found, name: str, kind: str, measure: str, value: float, best: float) -> Cell:
    low, high = found.intervals.get(name, {}).get(measure, (value, value))
    if kind == "published":
        gain = found.metrics[measure] / value - 1 if value > 0 else None
        return Cell(measure, value, 0.0, gain, True, value >= best)
    gains = [g for g in found.gains if (g.over, g.measure) == (name, measure)]
    gain, is_certain = (gains[0].relative, gains[0].is_certain) if gains else (None, True)
    return Cell(measure, value, (high - low) / 2, gain, is_certain, value >= best)


def _signed(share: float | None) -> str:
    return "from nothing" if share is None else f"{100 * share:+.1f} %"


def _mood(value: float, is_certain: bool) -> str:
    return ("good" if value > 0 else "bad") if is_certain else "plain"
