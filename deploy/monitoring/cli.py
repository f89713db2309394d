"""`endcap dashboards`: files for an operator's Grafana and Prometheus."""

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from endcap.deploy.monitoring import GRAFANA, PROMETHEUS
from endcap.deploy.printed import Json, screen
from endcap.errors import EndcapError


def dashboards(
    folder: Annotated[Path, typer.Argument(help="Where they go.")],
    as_json: Json = False,
) -> None:
    """Write Grafana's dashboards, and Prometheus' settings, rules and alerts, into a folder.

    Example: endcap dashboards monitoring
    """
    if folder.exists() and not folder.is_dir():
        raise EndcapError(f"{folder} is a file. Name a folder for the dashboards.")
    for source in (GRAFANA, PROMETHEUS):
        target = folder / source.name
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("tests"))
    written = sorted(str(each) for each in folder.rglob("*") if each.is_file())
    if as_json:
        print(json.dumps({"written": written}))
        return
    for each in written:
        screen.print(each, highlight=False, soft_wrap=True)
