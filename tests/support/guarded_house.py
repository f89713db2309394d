"""The processes as a careful operator runs them: each with a user of its own and the rights that
docs/security.md lists, TLS to Kafka and Redis, pseudonyms, JSON logs, traces."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acl_request import Allowed
from command_line import ENDCAP
from fleet import SEGMENT_MODEL
from ingest_process import create_sources
from own_valkey import OwnValkey
from redis_users import PASSWORD, WRITER, make_users
from secured_kafka import SecuredKafka
from span_collector import SpanCollector

from endcap.deploy.kafka_rights import rights
from endcap.deploy.local_stack.ports import free_ports, is_open
from endcap.deploy.local_stack.supervised import Child
from endcap.deploy.settings import Settings
from endcap.marketing.segment_model import encode_model

PROCESSES = {
    "stream": ("stream",),
    "rescore": ("rescore",),
    "trends": ("trends",),
    "serve": ("serve",),
    "ingest": ("ingest",),
    "segments": ("segments", "follow"),
}
"""By the name that is in their logs; the words that start them."""
USERS = {name: f"password-of-{name}" for name in (*PROCESSES, "admin", "operator")}
PSEUDONYMS = "a secret of the shop"


class GuardedHouse:
    """Started by `start`, once Redis' TLS listens on `redis_port`."""

    def __init__(self, kafka: SecuredKafka, valkey: OwnValkey, folder: Path, prefix: str) -> None:
        make_users(valkey.url)
        self.kafka, self.valkey, self.folder = kafka, valkey, folder
        self.source = f"{prefix}-clicks"
        """The shop's own topic, which `ingest` reads."""
        self.settings = Settings(
            kafka_bootstrap_servers=kafka.secured_address,
            topic_prefix=prefix,
            partitions=2,
            sources={"clicks": {"topic": self.source}},
        )
        self.spans = SpanCollector()
        (self.port,) = free_ports(1)
        self._children: list[Child] = []

    @property
    def rights(self) -> list[Allowed]:
        """What `endcap topics acls` prints, and nothing else."""
        return [
            Allowed(process, right)
            for process, of_process in rights(self.settings).items()
            if process in USERS
            for right in of_process
        ]

    async def create_source(self) -> None:
        """Before `ingest` looks for it."""
        await create_sources(self.kafka.open_address, self.source)

    def environment(self, process: str, redis_port: int) -> Mapping[str, str]:
        ca = self.kafka.authority.ca
        return {
            **os.environ,
            **self.kafka.settings_of(process),
            "ENDCAP_REDIS_URL": (
                f"rediss://{WRITER}:{PASSWORD}@127.0.0.1:{redis_port}/0?ssl_ca_certs={ca}"
            ),
            "ENDCAP_TOPIC_PREFIX": self.settings.topic_prefix,
            "ENDCAP_PARTITIONS": "2",
            "ENDCAP_DATA_DIR": str(self.folder / process),
            "ENDCAP_SOURCES": json.dumps(self.settings.sources),
            "ENDCAP_HTTP_OFFICE": "true",
            "ENDCAP_PSEUDONYM_SECRET": PSEUDONYMS,
            "ENDCAP_LOG_FORMAT": "json",
            "ENDCAP_TRACING_ENDPOINT": self.spans.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OMP_NUM_THREADS": "1",
        }

    def command(self, user: str, redis_port: int, *words: str) -> str:
        """What it printed."""
        done = subprocess.run(
            [*ENDCAP, *words],
            env=dict(self.environment(user, redis_port)),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, redis_port: int) -> None:
        model = self.folder / "segments" / "segments.json"
        model.parent.mkdir()
        model.write_bytes(encode_model(SEGMENT_MODEL))
        ports = dict(zip(PROCESSES, free_ports(len(PROCESSES)), strict=True))
        for name, words in PROCESSES.items():
            more: dict[str, Any] = {"ENDCAP_METRICS_PORT": str(ports[name])}
            if name == "serve":
                more = {"ENDCAP_HTTP_PORT": str(self.port)}
                ports[name] = self.port
            self._children.append(
                Child(
                    f"endcap {name}",
                    [*ENDCAP, *words],
                    self.folder / f"{name}.log",
                    {**self.environment(name, redis_port), **more},
                )
            )
        for name, child in zip(PROCESSES, self._children, strict=True):
            child.wait_until(lambda port=ports[name]: is_open(port), 90)  # type: ignore[misc]

    def check(self) -> None:
        """Nobody has ended."""
        for child in self._children:
            child.check()

    def logs(self) -> dict[str, str]:
        return {name: (self.folder / f"{name}.log").read_text() for name in PROCESSES}

    def stop(self) -> None:
        for child in self._children:
            child.ask_to_stop()
        for child in self._children:
            child.stop(30)
        self._children = []
