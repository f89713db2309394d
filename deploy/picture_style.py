"""Colours and letters of pictures that stand by themselves, light and dark."""

from collections.abc import Mapping

from markupsafe import Markup

_LIGHT = {"paper": "#ffffff", "ink": "#1d1c1a", "soft": "#5f5b55", "line": "#e5e1da"} | {
    "ours": "#2f57d6",
    "rival": "#b65a0a",
}
_DARK = {"paper": "#15161a", "ink": "#ecedf1", "soft": "#a0a3ad", "line": "#30333c"} | {
    "ours": "#86a3ff",
    "rival": "#f2a55e",
}


def style() -> Markup:
    """To stand first in a drawing. Plain classes: what draws SVG outside of browsers knows no
    variables."""
    dark = f"@media (prefers-color-scheme: dark) {{{_colours(_DARK)}}}"
    shapes = (
        "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
        "text.title{font-size:15px;font-weight:600}polyline{fill:none;stroke-width:2.2}"
        "polygon{fill-opacity:.16}line.floor{stroke-width:1.4;stroke-dasharray:5 4}"
    )
    whole = shapes + _colours(_LIGHT) + dark
    return Markup("<style>{}</style>").format(Markup(whole))  # noqa: S704  our own words


def _colours(of: Mapping[str, str]) -> str:
    return (
        f"rect.paper{{fill:{of['paper']}}}text{{fill:{of['ink']}}}text.axis{{fill:{of['soft']}}}"
        f"line.grid{{stroke:{of['line']}}}line.floor{{stroke:{of['ink']}}}"
    ) + "".join(
        f"rect.{kind},circle.{kind},polygon.{kind}{{fill:{of[kind]}}}"
        f"polyline.{kind}{{stroke:{of[kind]}}}"
        for kind in ("ours", "rival")
    )
