"""Every long-running process as an operator starts it, each with its /metrics."""

import asyncio
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from command_line import ENDCAP, settings_for
from ingest_process import create_sources
from own_valkey import OwnValkey

from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports
from endcap.deploy.local_stack.supervised import Child
from endcap.deploy.prometheus_text import Samples, scrape
from endcap.deploy.settings import Settings
from endcap.marketing.lifetime_value import BgNbd, GammaGamma
from endcap.marketing.segment_model import ItemFacts, SegmentModel, encode_model

SOURCE = "web"
PROCESSES = {
    "stream": ("stream",),
    "ingest": ("ingest",),
    "trends": ("trends",),
    "rescore": ("rescore",),
    "segments": ("segments", "follow"),
    "serve": ("serve",),
}
SEGMENT_MODEL = SegmentModel(
    BgNbd(1.5, 12.0, 5.0, 900.0),
    GammaGamma(2.0, 2.5, 19.0),
    (100.0, 500.0),
    0.5,
    {"milk": ItemFacts(1.5, 0.1, "Milk", "National")},
)


class Fleet:
    """They run until `stop`; `ports` by name. `source_topic` holds Segment's calls for `ingest`."""

    def __init__(self, stack: LocalStack, folder: Path) -> None:
        self.valkey = OwnValkey(folder)
        prefix = f"t{uuid4().hex[:8]}"
        self.source_topic = f"{prefix}.{SOURCE}"
        sources = {SOURCE: {"topic": self.source_topic, "adapter": "segment"}}
        self.ports = dict(zip(PROCESSES, free_ports(len(PROCESSES)), strict=True))
        own = {
            **settings_for(stack, prefix),
            "ENDCAP_REDIS_URL": self.valkey.url,
            "ENDCAP_HTTP_PORT": str(self.ports["serve"]),
            "ENDCAP_DATA_DIR": str(folder),
            "ENDCAP_PARTITIONS": "1",
            "ENDCAP_SOURCES": json.dumps(sources),
        }
        self.settings = Settings(
            kafka_bootstrap_servers=stack.bootstrap_servers,
            redis_url=self.valkey.url,
            topic_prefix=prefix,
            data_dir=folder,
            partitions=1,
        )
        self.settings.segments_path.write_bytes(encode_model(SEGMENT_MODEL))
        subprocess.run([*ENDCAP, "topics", "create"], env={**os.environ, **own}, check=True)
        asyncio.run(create_sources(stack.bootstrap_servers, self.source_topic, partitions=1))
        self._running = [
            Child(
                name,
                [*ENDCAP, *words],
                folder / f"{name}.log",
                {
                    **os.environ,
                    **own,
                    **({} if name == "serve" else {"ENDCAP_METRICS_PORT": str(self.ports[name])}),
                },
            )
            for name, words in PROCESSES.items()
        ]

    def text(self, name: str) -> str:
        """What the process exports."""
        url = f"http://127.0.0.1:{self.ports[name]}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()

    def samples(self, name: str) -> Samples:
        """The same, by name and labels."""
        return scrape(self.ports[name])

    def get(self, path: str) -> Any:
        """Of `serve`."""
        url = f"http://127.0.0.1:{self.ports['serve']}{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)

    def post(self, path: str, body: Sequence[Any]) -> None:
        """To `serve`."""
        url = f"http://127.0.0.1:{self.ports['serve']}{path}"
        request = urllib.request.Request(url, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            assert answer.status == 202

    def until(self, reached: Callable[[], Any], what: str) -> None:
        """Poll a real condition."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                if reached():
                    return
            except OSError:
                pass
            time.sleep(0.1)  # between polls, bounded by the deadline
        said = "\n".join(f"{c.name}: {c.log_file.read_text()[-500:]}" for c in self._running)
        raise AssertionError(f"{what} did not happen within 120 s\n{said}")

    def stop(self) -> None:
        for child in self._running:
            child.stop()
        self.valkey.stop()
