"""Dashboards of a real run as drawings: `python -m endcap.deploy.monitoring.picture FOLDER`.

Runs `endcap demo` under a real Prometheus (Debian's `prometheus`) with the rules that are shipped,
asks that for every panel of two dashboards, and draws its answers.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from markupsafe import Markup

from endcap.deploy.local_stack.ports import free_ports
from endcap.deploy.local_stack.supervised import Child
from endcap.deploy.monitoring import PROMETHEUS
from endcap.deploy.monitoring.board_overview import OVERVIEW
from endcap.deploy.monitoring.board_quality import QUALITY
from endcap.deploy.monitoring.panels import Board, Panel
from endcap.deploy.monitoring.targets import TARGETS_FILE
from endcap.deploy.picture_style import style
from endcap.errors import EndcapError
from endcap.svg import Scale, bar, drawing, line, path, short, text, ticks

_WIDTH, _TILE, _NUMBER_ROW, _ROW, _LEGEND = 1200, 600, 92, 285, 17
_TIMEOUT_S = 10.0
_DECADES = (0.001, 0.01, 0.1, 1, 10, 100)
_READ_EVERY_S, _READ = 0.5, 20
_HUES = ("#2f57d6", "#b65a0a", "#2f8f4e", "#a8339a", "#6b6b6b", "#b8322a")


class Series(NamedTuple):
    """A line: seconds since 1970 and values."""

    name: str
    points: list[tuple[float, float]]


def main(folder: Path) -> None:
    """Run, ask, draw."""
    with tempfile.TemporaryDirectory() as work:
        began = time.time()
        with _prometheus(Path(work)) as url:
            demo = [sys.executable, "-m", "endcap.deploy.cli", "demo", "--exit-when-done"]
            with _visitors(Path(work) / TARGETS_FILE):
                _run(demo, {"ENDCAP_DATA_DIR": work})
            span = began, _last_whole(url, began)
            for board in (OVERVIEW, QUALITY):
                out = folder / f"monitoring-{board.name}.svg"
                out.write_text(str(picture(board, url, span)) + "\n")


def picture(board: Board, url: str, span: tuple[float, float]) -> Markup:
    """A dashboard from the answers of the Prometheus at `url`, from one time to another in seconds
    since 1970."""
    numbers = [panel for panel in board.panels if panel.is_number]
    graphs = [panel for panel in board.panels if not panel.is_number]
    top = 50 + (_NUMBER_ROW if numbers else 0)
    height = top + (len(graphs) + 1) // 2 * _ROW
    marks = [style(), _strokes(), bar((0, 0), _WIDTH, height, "paper", board.title)]
    marks.append(text(16, 30, board.title, "title"))
    width = _WIDTH / max(1, len(numbers))
    for place, panel in enumerate(numbers):
        values = [value for each in _asked(url, panel, span) for _, value in each.points]
        said = _said(values[-1], panel.unit) if values else "no data"
        marks.append(text(16 + place * width, 66, panel.title, "axis"))
        marks.append(text(16 + place * width, 100, said, "number"))
    for place, panel in enumerate(graphs):
        corner = (place % 2 * _TILE, top + place // 2 * _ROW)
        marks += _graph(corner, panel, _asked(url, panel, span), span)
    return drawing(_WIDTH, height, board.title, marks)


def _graph(
    corner: tuple[float, float], panel: Panel, found: list[Series], span: tuple[float, float]
) -> list[Markup]:
    left, top = corner[0] + 64, corner[1] + 26
    right, bottom = corner[0] + _TILE - 20, corner[1] + _ROW - 26 - 4 * _LEGEND
    marks = [text(corner[0] + 16, corner[1] + 12, panel.title, "title")]
    most = max((value for each in found for _, value in each.points), default=1.0)
    steps = _DECADES if panel.log else ticks(0, most, 4)
    placed = _magnitude if panel.log else float
    up = Scale(placed(steps[0]), placed(steps[-1]), bottom, top)
    along = Scale(*span, left, right)
    for value in steps:
        y = up.at(placed(value))
        marks.append(line((left, y), (right, y), "grid"))
        marks.append(text(left - 6, y + 4, _said(value, panel.unit), "axis", "end"))
    for minutes in range(0, int((span[1] - span[0]) / 60) + 1, 2):
        x = along.at(span[0] + 60 * minutes)
        marks.append(text(x, bottom + 15, f"{minutes} min", "axis", "middle"))
    for number, each in enumerate(found):
        hue = number % len(_HUES)
        marks.append(
            path([(along.at(at), up.at(placed(value))) for at, value in each.points], f"hue{hue}")
        )
        x, y = left + number % 3 * 175, bottom + 22 + _LEGEND * (1 + number // 3)
        marks.append(line((x, y - 4), (x + 14, y - 4), f"hue{hue}"))
        marks.append(text(x + 19, y, each.name, "axis"))
    if not found:
        marks.append(
            text((left + right) / 2, (top + bottom) / 2, "nothing to show", "axis", "middle")
        )
    return marks


def _magnitude(value: float) -> float:
    return math.log10(max(value, _DECADES[0]))


def _strokes() -> Markup:
    hues = "".join(f".hue{n}{{stroke:{hue};stroke-width:2}}" for n, hue in enumerate(_HUES))
    return Markup("<style>{}</style>").format(
        Markup("text.number{font-size:26px;font-weight:600}" + hues)  # noqa: S704  our own words
    )


def _said(value: float, unit: str) -> str:
    if unit == "s":
        return f"{short(round(value * 1000, 1))} ms" if value < 1 else f"{short(round(value, 1))} s"
    if unit == "percentunit":
        return f"{100 * value:.0f} %"
    return short(round(value, 3))


def _asked(url: str, panel: Panel, span: tuple[float, float]) -> list[Series]:
    """What Prometheus answers to a panel's queries over a time."""
    found = []
    for query in panel.queries:
        for row in _rows(url, query.promql, *span):
            name = query.legend
            for label, value in row["metric"].items():
                name = name.replace(f"{{{{{label}}}}}", value)
            values = [(float(at), float(value)) for at, value in row["values"] if value != "NaN"]
            if values:
                found.append(Series(name, values))
    return found


def _rows(url: str, promql: str, since: float, until: float) -> Any:
    step = max(1, int((until - since) / 240))
    words = {"query": promql, "start": since, "end": until, "step": step}
    return _get(f"{url}/api/v1/query_range?{urllib.parse.urlencode(words)}")["data"]["result"]


def _last_whole(url: str, since: float) -> float:
    """When all processes answered for the last time."""
    (row,) = _rows(url, "sum(up)", since, time.time())
    values = [(float(up), float(at)) for at, up in row["values"]]
    return max(values)[1]


@contextmanager
def _visitors(targets: Path) -> Iterator[None]:
    """Shoppers who look at their lists over HTTP, some every half second."""
    gone = threading.Event()

    def visit() -> None:
        while not gone.wait(_READ_EVERY_S):
            try:
                told = json.loads(targets.read_text())
                (serve,) = (t["targets"][0] for t in told if t["labels"]["job"] == "endcap-serve")
                shoppers = _get(f"http://{serve}/v1/shoppers?limit={_READ}")
                for shopper in shoppers:
                    _get(f"http://{serve}/v1/recommendations/{shopper}")
            except (OSError, ValueError):
                continue  # it is not there yet, or no more

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        yield
    finally:
        gone.set()
        visitor.join()


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310  our own servers
        return json.load(answer)


@contextmanager
def _prometheus(folder: Path) -> Iterator[str]:
    """It follows the demo's targets; its address."""
    (port,) = free_ports(1)
    settings: dict[str, Any] = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(PROMETHEUS / "rules" / "*.yml")],
        "scrape_configs": [
            {
                "job_name": "endcap-demo",
                "file_sd_configs": [
                    {"files": [str(folder / TARGETS_FILE)], "refresh_interval": "1s"}
                ],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    server = shutil.which("prometheus")
    if server is None:
        raise EndcapError("There is no `prometheus` here: apt-get install prometheus.")
    command = [
        server,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    url = f"http://127.0.0.1:{port}"
    child = Child("prometheus", command, folder / "prometheus.log")
    try:
        child.wait_until(lambda: _is_ready(url), 60)
        yield url
    finally:
        child.stop()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=2) as answer:  # noqa: S310  our own
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _run(command: list[str], environment: dict[str, str]) -> None:
    ended = subprocess.run(command, env=os.environ | environment, check=False)
    if ended.returncode:
        raise EndcapError("The demo did not end well: its message stands above.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
