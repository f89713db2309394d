"""The storefront's processes as an operator starts them, on topics and a Valkey of their own."""

import asyncio
import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from command_line import ENDCAP, settings_for
from own_valkey import OwnValkey

from endcap.bundle import load_bundle
from endcap.catalogue import CatalogueItem, encode_item
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports
from endcap.deploy.settings import DEMO_BUNDLE
from endcap.export.completejourney import brands
from endcap.streams.clients import started_producer
from endcap.topics import topics_with_prefix

REDUCED = "1135476"
"""Strawberries, which cost more before."""
_PROCESSES = ("stream", "trends", "rescore", "serve")


class ShopStack:
    """It answers at `url` until it is closed; the catalogue is published, one item reduced."""

    def __init__(self, stack: LocalStack, folder: Path) -> None:
        self.valkey = OwnValkey(folder)
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        prefix = f"t{uuid4().hex[:8]}"
        self.environment = environment = {
            **os.environ,
            **settings_for(stack, prefix),
            "ENDCAP_REDIS_URL": self.valkey.url,
            "ENDCAP_HTTP_PORT": str(port),
            "ENDCAP_HTTP_RESCORE": "true",
            "ENDCAP_DATA_DIR": str(folder),
        }
        subprocess.run([*ENDCAP, "topics", "create"], env=environment, check=True)
        own = brands()
        self.items = tuple(
            msgspec.structs.replace(item, brand=own.get(item.item_id, ""))
            for item in load_bundle(DEMO_BUNDLE).items
        )
        asyncio.run(_publish(stack, prefix, self.items))
        self._running = {
            name: subprocess.Popen([*ENDCAP, name], env=environment) for name in _PROCESSES
        }
        try:
            self.until(lambda: self.get("/v1/trending")["items"])
            self.until(lambda: self.get(f"/shop/products?ids={REDUCED}")[0]["previous_price"])
        except BaseException:
            self.close()
            raise

    def freeze(self, name: str) -> None:
        """The process works no more, and holds all that it has."""
        self._running[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self._running[name].send_signal(signal.SIGCONT)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310
            return json.load(answer)

    def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Events by HTTP, as a shop's server sends them."""
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/v1/events", json.dumps(events).encode()
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            assert answer.status == 202

    def until(self, reached: Callable[[], Any]) -> None:
        """Poll a real condition."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            assert all(p.poll() is None for p in self._running.values()), "a process ended early"
            try:
                if reached():
                    return
            except (OSError, IndexError):
                pass
            time.sleep(0.1)  # between polls, bounded by the deadline
        raise AssertionError("not reached within 90 s")

    def close(self) -> None:
        for process in self._running.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self._running.values():
            process.wait(timeout=30)
        self.valkey.stop()


def purchases(household: str, item_ids: Sequence[str], times: int) -> list[dict[str, Any]]:
    """A household that bought these together, so many weeks one after the other."""
    now_ms = int(time.time() * 1000)
    return [
        {
            "event_id": f"{household}-{week}",
            "user_id": household,
            "event_name": "purchase",
            "timestamp_ms": now_ms - (times - week) * 7 * 86_400_000,
            "transaction_id": f"{household}-{week}",
            "items": [{"item_id": item_id} for item_id in item_ids],
        }
        for week in range(times)
    ]


async def _publish(stack: LocalStack, prefix: str, items: Sequence[CatalogueItem]) -> None:
    topic = topics_with_prefix(prefix, 1).catalogue.name
    dearer = [
        msgspec.structs.replace(item, price=(item.price or 0) + 1)
        for item in items
        if item.item_id == REDUCED
    ]
    producer = await started_producer(stack.bootstrap_servers)
    try:
        waiting = [
            await producer.send(topic, encode_item(item), key=item.item_id.encode())
            for item in (*dearer, *items)
        ]
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()
