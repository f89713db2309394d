"""One of endcap's processes as an operator would run it, for a benchmark that watches it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from endcap.deploy.local_stack.supervised import Child

_NOTHING: Mapping[str, str] = {}


class Place(NamedTuple):
    """Where a process works: brokers, prefix of the topics, its folder, its port of /metrics."""

    bootstrap_servers: str
    prefix: str
    data_dir: Path
    metrics_port: int


def endcap_process(
    words: str, place: Place, log_file: Path, more: Mapping[str, str] = _NOTHING, name: str = ""
) -> Child:
    """Start `endcap <words>`, and do not wait for it. `more`: settings beside the place, by their
    names in the environment; `name`: of the child, where the words are not enough."""
    return Child(
        f"endcap {name or words}",
        [sys.executable, "-m", "endcap.deploy.cli", *words.split()],
        log_file,
        os.environ
        | {
            "ENDCAP_KAFKA_BOOTSTRAP_SERVERS": place.bootstrap_servers,
            "ENDCAP_TOPIC_PREFIX": place.prefix,
            "ENDCAP_DATA_DIR": str(place.data_dir),
            "ENDCAP_METRICS_PORT": str(place.metrics_port),
            **more,
        },
    )
