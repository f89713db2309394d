"""The trends app on a real broker and a real Valkey, restarted once."""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from endcap.catalogue import CatalogueItem, encode_item
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.supervised import Child
from endcap.lists import RecommendationList
from endcap.serving.redis_store import RedisStore
from endcap.streams.clients import create_topics, started_producer, started_transactional_producer
from endcap.streams.item_deltas import ItemDelta, encode_deltas
from endcap.streams.trends import TrendsPlace, run_trends
from endcap.topics import Topics, topics_with_prefix
from endcap.trending import HOUR_MS

pytestmark = pytest.mark.integration

NOON_MS = 1_600_000_000_000  # years ago: trends follow the events' time
MILK = CatalogueItem("milk", "Whole milk", "Dairy", "Grocery", 1.19)
BREAD = CatalogueItem("bread", "Rye bread", "Bakery", "Grocery", None)
TEA = CatalogueItem("tea", "Green tea")
GONE = CatalogueItem("gone", "Not on the shelf", in_stock=False)


@pytest.fixture(scope="module")
def servers() -> Iterator[LocalStack]:
    """A stack of its own: nobody else writes `endcap:trending` there."""
    with LocalStack(bootstrap_servers=None, redis_url=None) as running:
        yield running


@asynccontextmanager
async def app_running(
    servers: LocalStack,
    topics: Topics,
    store: RedisStore,
    folder: Path,
    app_id: str,
    extensions: Sequence[str] = (),
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    place = TrendsPlace(servers.bootstrap_servers, topics, folder, app_id, extensions=extensions)
    running = asyncio.create_task(run_trends(place, store, stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)


async def until(
    read: Callable[[], Awaitable[RecommendationList | None]], ids: list[str]
) -> RecommendationList:
    """Poll until the list holds these ids in this order."""
    deadline = time.monotonic() + 60
    ready = None
    while time.monotonic() < deadline:
        ready = await read()
        if ready is not None and [item.id for item in ready.items] == ids:
            return ready
        await asyncio.sleep(0.05)
    raise AssertionError(f"wanted {ids} within 60 s, Redis holds {ready}")


async def test_trends_and_catalogue_reach_redis_and_survive_a_restart(
    servers: LocalStack, tmp_path: Path
) -> None:
    topics = topics_with_prefix(f"t{uuid4().hex[:8]}")
    app_id = f"{topics.events.name}-trends"
    await create_topics(servers.bootstrap_servers, topics, partitions=2)
    store = RedisStore(servers.redis_url)
    producer = await started_producer(servers.bootstrap_servers)

    async def say(*values: bytes) -> None:
        for value in values:
            await producer.send_and_wait(topics.item_deltas.name, value)

    def deltas(*acts: ItemDelta) -> bytes:
        (record,) = encode_deltas(acts)
        return record

    viewed = ItemDelta(0, 5, "view", NOON_MS, ("milk",))
    try:
        for item in (MILK, BREAD, TEA, GONE):
            await producer.send_and_wait(
                topics.catalogue.name, encode_item(item), key=item.item_id.encode()
            )
        await say(
            *[deltas(viewed)] * 5,  # counted once, or milk would come first
            b"not json",
            deltas(
                viewed,
                ItemDelta(0, 6, "purchase", NOON_MS, ("gone",)),
                ItemDelta(0, 7, "view", NOON_MS - 100 * HOUR_MS, ("tea",)),
            ),
            deltas(ItemDelta(1, 0, "cart", NOON_MS, ("bread",))),
        )
        async with app_running(servers, topics, store, tmp_path, app_id):
            first = await until(store.trending, ["bread", "milk", "tea"])
        assert [item.score for item in first.items] == [2.0, 1.0, 1.0]
        assert [item.reason for item in first.items] == [
            "popular right now",
            "popular right now",
            "popular this week",
        ]
        assert first.model == "trending"
        assert await store.items(["milk", "bread", "gone"]) == {
            item.item_id: item for item in (MILK, BREAD, GONE)
        }

        # The next worker knows from the changelogs what was counted, and goes on from there.
        await say(deltas(viewed, ItemDelta(0, 8, "cart", NOON_MS, ("milk",))))
        async with app_running(servers, topics, store, tmp_path, app_id):
            second = await until(store.trending, ["milk", "bread", "tea"])
        assert [item.score for item in second.items] == [3.0, 2.0, 1.0]
        assert second.version > first.version

        # An item that the shop no longer sells leaves the list and Redis.
        await producer.send_and_wait(topics.catalogue.name, None, key=b"bread")
        async with app_running(servers, topics, store, tmp_path, app_id):
            await until(store.trending, ["milk", "tea"])
        assert await store.items(["bread"]) == {}
    finally:
        await producer.stop()
        await store.close()


@pytest.mark.timeout(300)
async def test_counts_are_exact_after_kill_9_in_mid_stream(
    servers: LocalStack, tmp_path: Path
) -> None:
    """Deltas come in transactions, as the session worker writes them; some are aborted first."""
    prefix = f"t{uuid4().hex[:8]}"
    topics = topics_with_prefix(prefix)
    await create_topics(servers.bootstrap_servers, topics, partitions=2)
    store = RedisStore(servers.redis_url)
    producer = await started_transactional_producer(servers.bootstrap_servers, f"{prefix}-deltas")
    rng = random.Random(5)
    expected: Counter[str] = Counter()
    offset = 0

    async def send_batch() -> None:
        nonlocal offset
        batch = []
        for _ in range(50):
            item_ids = tuple(rng.sample([f"i{n:02}" for n in range(15)], 2))
            batch.append(ItemDelta(0, offset, "view", NOON_MS + offset % 1000, item_ids))
            expected.update(item_ids)
            offset += 1
        (record,) = encode_deltas(batch)
        if rng.random() < 0.2:  # the worker was fenced, and its successor writes the same again
            await producer.begin_transaction()
            await producer.send_and_wait(topics.item_deltas.name, record)
            await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topics.item_deltas.name, record)

    def start(number: int) -> Child:
        return Child(
            "endcap trends",
            [sys.executable, "-m", "endcap.deploy.cli", "trends"],
            tmp_path / f"trends-{number}.log",
            os.environ
            | {
                "ENDCAP_KAFKA_BOOTSTRAP_SERVERS": servers.bootstrap_servers,
                "ENDCAP_REDIS_URL": servers.redis_url,
                "ENDCAP_TOPIC_PREFIX": prefix,
                "ENDCAP_DATA_DIR": str(tmp_path),
            },
        )

    async def shown() -> float:
        ready = await store.trending()
        known = ready.items if ready else ()
        return sum(item.score for item in known if item.id.startswith("i"))

    async def shows(at_least: float) -> float:
        deadline = time.monotonic() + 90
        while (now := await shown()) < at_least:
            assert time.monotonic() < deadline, f"{now} of {at_least} counted"
            await asyncio.sleep(0.02)
        return now

    app = start(0)
    try:
        for kill in range(1, 4):
            before = await shown()
            async with asyncio.TaskGroup() as sending:
                sending.create_task(_each(send_batch for _ in range(40)))
                await shows(before + 1)  # in mid-stream
                app.kill()
            app = start(kill)
        await shows(expected.total())
        ready = await store.trending()
        assert ready is not None
        assert {item.id: item.score for item in ready.items} == dict(expected)
    finally:
        app.stop()
        await producer.stop()
        await store.close()


async def _each(calls: Iterable[Callable[[], Awaitable[None]]]) -> None:
    for call in calls:
        await call()
