"""The trends app on a real broker and a real Valkey, restarted once."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from endcap.catalogue import CatalogueItem, encode_item
from endcap.deploy.local_stack import LocalStack
from endcap.lists import RecommendationList
from endcap.serving.redis_store import RedisStore
from endcap.streams.clients import create_topics, started_producer
from endcap.streams.item_deltas import ItemDelta, encode_deltas
from endcap.streams.trends import run_trends
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
    servers: LocalStack, topics: Topics, store: RedisStore, folder: Path, app_id: str
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(
        run_trends(servers.bootstrap_servers, topics, store, folder, stop, app_id)
    )
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
