"""`endcap stream --rescore` as its operator meets it: two processes that begin, count and end as
one."""

import asyncio
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import psutil
import pytest
from awaited import until
from command_line import ENDCAP, endcap, settings_for
from stream_topics import send_events

from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports
from endcap.deploy.prometheus_text import scrape, total
from endcap.events import Event, EventItem, EventType
from endcap.serving.redis_store import RedisStore
from endcap.streams.clients import create_topics
from endcap.topics import Topics, topics_with_prefix

pytestmark = pytest.mark.integration


class Joined(NamedTuple):
    """The command, its fold, and where it tells of itself."""

    process: "subprocess.Popen[str]"
    fold: psutil.Process
    port: int


def started(port: int, settings: Mapping[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*ENDCAP, "stream", "--rescore", "--metrics-port", str(port)],
        env={**os.environ, **settings},
        stderr=subprocess.PIPE,
        text=True,
    )


@asynccontextmanager
async def joined(stack: LocalStack, folder: Path, partitions: int) -> AsyncIterator[Joined]:
    """It runs, on topics of its own, and has made one list."""
    prefix = f"t{uuid4().hex[:8]}"
    topics = topics_with_prefix(prefix)
    await create_topics(stack.bootstrap_servers, topics, partitions)
    (port,) = free_ports(1)
    process = started(port, {**settings_for(stack, prefix), "ENDCAP_DATA_DIR": str(folder)})
    try:
        await one_list(stack, topics, f"u-{prefix}")
        (fold,) = psutil.Process(process.pid).children()
        yield Joined(process, fold, port)
    finally:
        process.kill()
        process.wait()


async def one_list(stack: LocalStack, topics: Topics, user: str) -> None:
    """An event, and its list."""
    event = Event(
        event_id=uuid4().hex,
        user_id=user,
        event_name=EventType.VIEW_ITEM,
        timestamp_ms=int(time.time() * 1000),
        items=(EventItem("1082185"),),
    )
    await send_events(stack.bootstrap_servers, topics, [event])
    store = RedisStore(stack.redis_url)

    async def is_there() -> bool:
        return await store.read(user) is not None

    try:
        await until(is_there, "the list of the event")
    finally:
        await store.close()


async def test_both_count_on_one_port_and_end_together_when_told(
    stack: LocalStack, tmp_path: Path
) -> None:
    async with joined(stack, tmp_path, 2) as (process, fold, port):

        async def is_counted() -> bool:
            held = await asyncio.to_thread(scrape, port)
            return bool(
                total(held, "endcap_events_total") == 1
                and total(held, "endcap_lists_written_total") == 1
            )

        await until(is_counted, "what each of the processes has counted")
        process.terminate()
        _, said = await asyncio.to_thread(process.communicate, timeout=60)
        assert process.returncode == 0, said
        assert not fold.is_running()


async def test_where_the_fold_is_killed_the_whole_command_ends_and_says_so(
    stack: LocalStack, tmp_path: Path
) -> None:
    async with joined(stack, tmp_path, 1) as (process, fold, _):
        fold.send_signal(signal.SIGKILL)
        _, said = await asyncio.to_thread(process.communicate, timeout=60)
        assert process.returncode == 1
        assert "The process that folds events has ended with status -9" in said


async def test_a_fold_that_stands_still_is_not_well(stack: LocalStack, tmp_path: Path) -> None:
    async with joined(stack, tmp_path, 1) as (_, fold, port):

        def health() -> int:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as said:
                    status: int = said.status
            except urllib.error.HTTPError as error:
                return error.code
            return status

        assert await asyncio.to_thread(health) == 200
        fold.suspend()
        try:
            assert await asyncio.to_thread(health) == 503
        finally:
            fold.resume()
        assert await asyncio.to_thread(health) == 200


def test_without_a_broker_one_message_says_so(stack: LocalStack, tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    ended = endcap(
        *("stream", "--rescore"),
        ENDCAP_KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{nobody}",
        ENDCAP_REDIS_URL=stack.redis_url,
        ENDCAP_DATA_DIR=str(tmp_path),
    )
    assert ended.returncode == 1
    assert ended.stderr.count("No Kafka broker answers at") == 1
