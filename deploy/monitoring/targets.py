"""Where a fleet with ports of its own choice is scraped, in a file that Prometheus follows."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

TARGETS_FILE = "demo-targets.json"


def write_targets(path: Path, host: str, ports: Mapping[str, int]) -> None:
    """A file for `file_sd_configs`, replaced in one act: of each process, by the command that
    started it, the address and the label `job`."""
    told = [
        {"targets": [f"{host}:{port}"], "labels": {"job": f"endcap-{command.split()[0]}"}}
        for command, port in ports.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(told, indent=1))
    os.replace(unfinished, path)
