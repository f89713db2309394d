"""Bytes and CPU time that `endcap capacity` reckons with and no other measurement has."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import redis.asyncio as redis

from endcap.catalogue import CatalogueItem
from endcap.deploy.bench.endcap_process import Place, endcap_process
from endcap.deploy.bench.list_writes import write_some
from endcap.deploy.bench.stream_process import StreamProcess
from endcap.deploy.bench.workload import send_clickstream
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports, is_open
from endcap.deploy.local_stack.supervised import Child
from endcap.deploy.progress import Bars
from endcap.deploy.prometheus_text import scrape, total
from endcap.errors import EndcapError
from endcap.lists import item_key, rec_key
from endcap.serving.redis_store import RedisStore
from endcap.streams.clients import create_topics
from endcap.topics import Topics, topics_with_prefix

_WAIT_S = 240.0
_QUIET_S = 3.0
_ITEMS = 1000


def bench_sizes(stack: LocalStack, events: int, bars: Bars) -> dict[str, Any]:
    """Send a made-up clickstream through a session worker and the trends app; weigh what is left.

    `event_json_bytes`: one event as sent. `*_log_bytes_per_event`: on the broker's disk, packed,
    without replicas. `trends_cpu_us_per_event`: the trends app over all item deltas, which lay
    there before; `fold_cpu_us_per_event` stands beside it. `redis_*_bytes`: MEMORY USAGE of a
    key, 20 items a list.

    Raises:
        EndcapError: a process did not work through it in time.
    """
    topics = topics_with_prefix(f"sizes-{uuid4().hex[:8]}")
    json_bytes = asyncio.run(_fill(stack.bootstrap_servers, topics, events, bars))
    folded_s = _worked_by_stream(stack, topics, events, bars)
    counted = _worked_by_trends(stack, topics, bars)
    logs = {
        name: _log_bytes(stack.log_dir, topic.name) / events
        for name, topic in topics._asdict().items()
        if name in {"events", "sessions", "item_deltas"}
    }
    return {
        "events": events,
        "event_json_bytes": round(json_bytes),
        **{f"{name}_log_bytes_per_event": round(size, 1) for name, size in logs.items()},
        "fold_cpu_us_per_event": round(folded_s / events * 1e6, 1),
        "trends_cpu_us_per_event": round(counted["cpu_s"] / counted["events"] * 1e6, 1),
        "trends_events": counted["events"],
        **asyncio.run(_redis_bytes(stack.redis_url)),
    }


async def _fill(bootstrap: str, topics: Topics, events: int, bars: Bars) -> float:
    """The mean size of an event's JSON."""
    await create_topics(bootstrap, topics, 4)
    return await send_clickstream(bootstrap, topics.events, events, bars)


def _worked_by_stream(stack: LocalStack, topics: Topics, events: int, bars: Bars) -> float:
    """CPU seconds, Python's start included."""
    bars.say("Folding them")
    worker = StreamProcess(stack, topics.events.name.removesuffix(".events"), 1)
    try:
        _until(lambda: worker.count("endcap_events_total") >= events, worker.child)
        return _cpu_s(psutil.Process(worker.child.pid))
    finally:
        worker.child.stop()


def _worked_by_trends(stack: LocalStack, topics: Topics, bars: Bars) -> dict[str, Any]:
    """From its first record until nothing is left: `cpu_s` and the `events` counted meanwhile."""
    bars.say("Counting what trends")
    (port,) = free_ports(1)
    folder = stack.log_dir / "sizes-trends"
    folder.mkdir()
    prefix = topics.events.name.removesuffix(".events")
    child = endcap_process(
        "trends",
        Place(stack.bootstrap_servers, prefix, folder, port),
        stack.log_dir / "sizes-trends.log",
        {"ENDCAP_REDIS_URL": stack.redis_url},
    )
    process = psutil.Process(child.pid)

    def counted() -> float:
        return total(scrape(port), "endcap_item_records_total", {"outcome": "counted"})

    try:
        child.wait_until(lambda: is_open(port), 60)
        _until(lambda: counted() > 0, child)
        first, cpu_before = counted(), _cpu_s(process)
        for last in _until_quiet(counted):
            found = {"cpu_s": _cpu_s(process) - cpu_before, "events": int(last - first)}
        if found["events"] <= 0:
            raise EndcapError("It was too quick to be measured; give more --events.")
        return found
    finally:
        child.stop()


def _until_quiet(counted: Callable[[], float]) -> Iterator[float]:
    """Each new count, until none has come for `_QUIET_S`."""
    last, since = counted(), time.monotonic()
    yield last
    while time.monotonic() - since < _QUIET_S:
        time.sleep(0.05)
        now = counted()
        if now != last:
            last, since = now, time.monotonic()
            yield last


def _until(reached: Callable[[], bool], child: Child) -> None:
    began = time.monotonic()
    while not reached():
        if not child.is_running or time.monotonic() - began > _WAIT_S:
            raise EndcapError(f"{child.name} did not finish; its log: {child.log_file}.")
        time.sleep(0.05)


def _cpu_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _log_bytes(folder: Path, topic: str) -> int:
    """Of all partitions: what Kafka has written, not what it has reserved."""
    files = [file for part in folder.rglob(f"{topic}-[0-9]*") for file in part.glob("*.log")]
    return sum(file.stat().st_size for file in files)


async def _redis_bytes(url: str) -> dict[str, int]:
    store, client = RedisStore(url), redis.Redis.from_url(url)
    items = [
        CatalogueItem(f"{1_000_000 + n}", f"Organic Whole Milk, {n} oz", "Milk", price=2.5)
        for n in range(_ITEMS)
    ]
    try:
        users = await write_some(store, _ITEMS)
        await store.write_items(items)
        lists = [await client.memory_usage(rec_key(user), samples=0) or 0 for user in users]
        hashes = [await client.memory_usage(item_key(i.item_id), samples=0) or 0 for i in items]
    finally:
        await client.aclose()
        await store.close()
    return {
        "redis_list_bytes": round(sum(lists) / len(lists)),
        "redis_item_bytes": round(sum(hashes) / len(hashes)),
    }
