"""`endcap ingest` as an operator would run it, and what it left in the topics."""

import asyncio
import json
import os
from collections.abc import Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from click_records import ADAPTERS
from command_line import ENDCAP, settings_for

from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports, is_open
from endcap.deploy.local_stack.supervised import Child
from endcap.deploy.prometheus_text import scrape, total
from endcap.events import Event, parse_event
from endcap.streams.clients import read_whole
from endcap.topics import Topics


class Ingest:
    """`endcap ingest` in a process of its own, as an operator would run it."""

    def __init__(self, stack: LocalStack, prefix: str, sources: Mapping[str, Any]) -> None:
        (self._port,) = free_ports(1)
        self.child = Child(
            "endcap ingest",
            [*ENDCAP, "ingest"],
            stack.log_dir / f"ingest-{self._port}.log",
            os.environ
            | settings_of(stack, prefix, sources)
            | {
                "ENDCAP_METRICS_PORT": str(self._port),
                "ENDCAP_SESSION_TIMEOUT_S": "2",
            },
        )
        self.child.wait_until(lambda: is_open(self._port), 60)

    def count(self, metric: str, **labels: str) -> int:
        return int(total(scrape(self._port), metric, labels))

    async def counts(self, records: int, metric: str = "endcap_ingest_records_total") -> None:
        """Returns when it has counted so many."""
        async with asyncio.timeout(60):
            while await asyncio.to_thread(self.count, metric) < records:
                self.child.check()
                await asyncio.sleep(0.05)


def settings_of(stack: LocalStack, prefix: str, sources: Mapping[str, Any]) -> dict[str, str]:
    return settings_for(stack, prefix) | {
        "ENDCAP_SOURCES": json.dumps(sources),
        "ENDCAP_ADAPTERS": json.dumps(ADAPTERS),
    }


async def create_sources(bootstrap_servers: str, *names: str, partitions: int = 2) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(name, partitions, 1) for name in names])
    await admin.close()


async def events_in(stack: LocalStack, topics: Topics) -> list[Event]:
    found = []
    async for record in read_whole(stack.bootstrap_servers, topics.events.name):
        event = parse_event(record.value, 1 << 62)
        assert record.key == event.user_id.encode()
        found.append(event)
    return found
