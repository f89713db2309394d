"""Dashboards as Grafana reads them, made of the boards beside it by Grafana's own builders.

Needs grafana-foundation-sdk, which nothing else does: the files lie in `grafana/`, and a test holds
them to this module.
"""

import json
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
)
from grafana_foundation_sdk.models.dashboard import DataSourceRef, GridPos

from endcap.deploy.monitoring import GRAFANA
from endcap.deploy.monitoring.board_business import BUSINESS
from endcap.deploy.monitoring.board_overview import OVERVIEW
from endcap.deploy.monitoring.board_quality import QUALITY
from endcap.deploy.monitoring.board_rescorer import RESCORER
from endcap.deploy.monitoring.board_stream import STREAM
from endcap.deploy.monitoring.panels import Board, Panel

BOARDS = (OVERVIEW, STREAM, RESCORER, QUALITY, BUSINESS)

_SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
_COLUMNS, _LARGE_ROWS, _ROWS = 24, 4, 8


def write_dashboards(folder: Path) -> list[Path]:
    """All of them; returns their files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for board in BOARDS:
        path = folder / f"endcap-{board.name}.json"
        path.write_text(dashboard_json(board))
        written.append(path)
    return written


def dashboard_json(board: Board) -> str:
    """One of them, to be imported or provisioned; which Prometheus is chosen on its page."""
    built = (
        dashboard.Dashboard(board.title)
        .uid(f"endcap-{board.name}")
        .description(board.says)
        .tags(["endcap"])
        .refresh("30s")
        .time("now-1h", "now")
        .with_variable(
            dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus")
        )
    )
    for panel, place in zip(board.panels, _places(board.panels), strict=True):
        built.with_panel(_picture(panel).grid_pos(place))
    made = json.loads(JSONEncoder(sort_keys=True).encode(built.build()))
    return json.dumps(made, indent=1) + "\n"


def _picture(panel: Panel) -> timeseries.Panel | stat.Panel:
    picture: timeseries.Panel | stat.Panel = (
        stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        if panel.is_number
        else timeseries.Panel().line_width(2).fill_opacity(5).legend(_below())
    )
    if panel.log and isinstance(picture, timeseries.Panel):
        scale = common.ScaleDistributionConfig().type(ScaleDistribution.LOG).log(10)
        picture.scale_distribution(scale)
    picture.title(panel.title).description(panel.says).unit(panel.unit).datasource(_SOURCE)
    for number, query in enumerate(panel.queries):
        asked = prometheus.Dataquery().expr(query.promql).legend_format(query.legend)
        picture.with_target(asked.ref_id(chr(ord("A") + number)))
    return picture


def _below() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().show_legend(True)
    return legend.display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).calcs([])


def _places(panels: tuple[Panel, ...]) -> list[GridPos]:
    """From left to right, and on in the next row where there is no room."""
    places, x, y, height = [], 0, 0, 0
    for panel in panels:
        if x + panel.width > _COLUMNS:
            x, y, height = 0, y + height, 0
        rows = _LARGE_ROWS if panel.is_number else _ROWS
        places.append(GridPos(h=rows, w=panel.width, x=x, y=y))
        x, height = x + panel.width, max(height, rows)
    return places


if __name__ == "__main__":
    for written in write_dashboards(GRAFANA):
        print(written)
