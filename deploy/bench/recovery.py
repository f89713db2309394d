"""A million sessions, a kill -9: how long until the next event flows, and at what memory?"""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
from aiokafka import AIOKafkaProducer, TopicPartition

from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.supervised import Child
from endcap.deploy.progress import Bars
from endcap.errors import EndcapError
from endcap.events import Event, EventItem, EventType, encode_event
from endcap.sessions import Act, Session, fold_acts
from endcap.streams.clients import create_topics, started_consumer, started_producer
from endcap.timeline import Snapshot, Timeline, encode_snapshot
from endcap.topics import Topics, topics_with_prefix

PARTITIONS = 4
EVENTS_A_SESSION = 8
_FLOW_S = 300.0
_START_MS = 1_700_000_000_000


def bench_recovery(cache_dir: Path | None, sessions: int, bars: Bars) -> dict[str, Any]:
    """Start a worker on `sessions` sessions three times; the second and third follow a kill -9.

    1. On an empty folder: it reads the whole topic back and writes its local store.
    2. After kill -9, with the local store: `with_local_store_s`.
    3. After kill -9, in memory alone: `without_local_store_s`.

    Each time runs from the start of the process to the commit of an event that was waiting for it,
    Python's own start included. `peak_memory_mib` is the larger peak of anonymous memory of 2 and
    3; the local store's file pages are the kernel's to take back. `bytes_per_session` is what a
    session kept hot costs, as the worker keeps it, in a process of its own. Sessions hold
    `EVENTS_A_SESSION` events.
    """
    with LocalStack(None, "redis://none-needed", cache_dir, bars.say) as stack:
        runs, snapshots_mib = asyncio.run(_measure(stack, sessions, bars))
    hot = json.loads(
        subprocess.run(
            [sys.executable, "-m", "endcap.deploy.bench.roles.hot_sessions"],
            check=True,
            capture_output=True,
        ).stdout
    )
    return {
        "with_local_store_s": round(runs["with"]["seconds"], 2),
        "without_local_store_s": round(runs["without"]["seconds"], 2),
        "bytes_per_session": hot["bytes_per_session"],
        "peak_memory_mib": round(max(runs[n]["peak_mib"] for n in ("with", "without"))),
        "first_start_s": round(runs["first_start"]["seconds"], 2),
        "peak_memory_mib_by_run": {name: round(run["peak_mib"]) for name, run in runs.items()},
        "sessions": sessions,
        "snapshot_bytes": len(encoded_session(0)),
        "local_store_mib": round(snapshots_mib),
    }


async def _measure(
    stack: LocalStack, sessions: int, bars: Bars
) -> tuple[dict[str, dict[str, float]], float]:
    topics = topics_with_prefix(f"recovery-{uuid4().hex[:8]}")
    await create_topics(stack.bootstrap_servers, topics, PARTITIONS)
    await _fill(stack, topics, sessions, bars)
    runs = {}
    for name, kind in (("first_start", "disk"), ("with", "disk"), ("without", "memory")):
        bars.say(f"Starting a worker: {name.replace('_', ' ')} local store ({kind})")
        runs[name] = await _until_it_flows(stack, topics, kind, name)
    files = [file for file in _data_dir(stack).rglob("*") if file.is_file()]
    return runs, sum(file.stat().st_blocks * 512 for file in files) / (1 << 20)


def encoded_session(number: int) -> bytes:
    """A snapshot as the worker writes it, of a shopper with `EVENTS_A_SESSION` events."""
    user_id = f"shopper-{number}"
    acts = tuple(
        Act(
            _START_MS + number + at * 1000,
            EventType.VIEW_ITEM.code,
            (number * EVENTS_A_SESSION + at).to_bytes(8, "big"),
            (f"item-{(number * 7 + at * 131) % 50_000}",),
        )
        for at in range(EVENTS_A_SESSION)
    )
    sealed = fold_acts(Session(user_id), acts[:-2])
    digests = b"".join(act.digest for act in acts)
    timeline = Timeline(sealed, acts[-2:], digests, acts[-1].timestamp_ms, None)
    return encode_snapshot(Snapshot(timeline, number % PARTITIONS, -1, _START_MS))


async def _fill(stack: LocalStack, topics: Topics, sessions: int, bars: Bars) -> None:
    """Snapshots as the worker writes them, each in the partition of its events."""
    producer = AIOKafkaProducer(
        bootstrap_servers=stack.bootstrap_servers, max_batch_size=900_000, compression_type="zstd"
    )
    await producer.start()
    try:
        for partition in range(PARTITIONS):
            builder = producer.create_batch()
            for number in range(partition, sessions, PARTITIONS):
                row = {"timestamp": None, "key": f"shopper-{number}".encode()}
                raw = encoded_session(number)
                if builder.append(value=raw, **row) is None:
                    await producer.send_batch(builder, topics.sessions.name, partition=partition)
                    builder = producer.create_batch()
                    builder.append(value=raw, **row)
                    bars.advance(
                        "Sessions into Kafka",
                        partition * sessions // PARTITIONS + number // PARTITIONS,
                        sessions,
                    )
            await producer.send_batch(builder, topics.sessions.name, partition=partition)
        await producer.flush()
        bars.advance("Sessions into Kafka", sessions, sessions)
    finally:
        await producer.stop()


async def _until_it_flows(
    stack: LocalStack, topics: Topics, kind: str, name: str
) -> dict[str, float]:
    """An event waits in each partition; start the worker, and kill it when they are committed."""
    producer = await started_producer(stack.bootstrap_servers)
    ends = {}
    for partition in range(PARTITIONS):
        event = Event(
            event_id=f"{name}-{partition}",
            user_id=f"shopper-{partition}",
            event_name=EventType.VIEW_ITEM,
            timestamp_ms=_START_MS + 60_000,
            items=(EventItem("item-1"),),
        )
        at = await producer.send_and_wait(
            topics.events.name, encode_event(event), event.user_id.encode(), partition
        )
        ends[TopicPartition(topics.events.name, partition)] = at.offset + 1
    await producer.stop()
    prefix = topics.events.name.removesuffix(".events")
    watch = await started_consumer(stack.bootstrap_servers, group_id=f"{prefix}-stream")
    started = time.monotonic()
    worker = Child(
        f"endcap stream ({name})",
        [sys.executable, "-m", "endcap.deploy.cli", "stream"],
        stack.log_dir / f"stream-{name}.log",
        os.environ
        | {
            "ENDCAP_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
            "ENDCAP_TOPIC_PREFIX": prefix,
            "ENDCAP_GROUP_INSTANCE_ID": "recovery",
            "ENDCAP_DATA_DIR": str(_data_dir(stack)),
            "ENDCAP_SESSION_STORE": kind,
        },
    )
    process = psutil.Process(worker.pid)
    peak = 0
    try:
        while ends:
            if not worker.is_running or time.monotonic() - started > _FLOW_S:
                raise EndcapError(f"{worker.name} brought no event; its log: {worker.log_file}.")
            peak = max(peak, _anonymous(process))
            for tp in list(ends):
                if ((await watch.committed(tp)) or 0) >= ends[tp]:
                    del ends[tp]
            await asyncio.sleep(0.02)
        seconds = time.monotonic() - started
        # What was folded last is in the file after a while; a kill in mid-air loses only a tail.
        return {"seconds": seconds, "peak_mib": max(peak, _anonymous(process)) / (1 << 20)}
    finally:
        worker.kill()
        await watch.stop()


def _anonymous(process: psutil.Process) -> int:
    held = process.memory_info()
    return int(held.rss - held.shared)


def _data_dir(stack: LocalStack) -> Path:
    return stack.log_dir / "recovery"
