"""A rescorer that gets more than it can serve, and one whose Redis goes away."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from awaited import until

from endcap.bundle import load_bundle
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports
from endcap.deploy.local_stack.valkey import start_valkey
from endcap.deploy.settings import BUNDLES
from endcap.serving import metrics
from endcap.serving.model_slot import Model, ModelSlot
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.redis_store import RedisStore
from endcap.serving.rescorer import Rescorer
from endcap.serving.waiting_room import WaitingRoom
from endcap.sessions import Session
from endcap.streams.clients import create_topics, started_consumer
from endcap.timeline import Snapshot, Timeline, encode_snapshot
from endcap.topics import Topics, topics_with_prefix

pytestmark = pytest.mark.integration

_BURST = 200


class CrowdedShop:
    """A sessions topic of one partition, and a rescorer whose room holds sixteen."""

    def __init__(self, stack: LocalStack, producer: AIOKafkaProducer, store: RedisStore) -> None:
        self.topics: Topics = topics_with_prefix(f"t{uuid4().hex[:8]}")
        self.store = store
        self.room = WaitingRoom(size=16)
        self.group = f"{self.topics.sessions.name}-r"
        self._stack = stack
        self._producer = producer
        self._visits = 0

    async def visit(self, users: list[str]) -> dict[str, int]:
        """A new session of each, in one batch; returns their versions."""
        self._visits += 1
        batch = self._producer.create_batch()
        for user in users:
            self._write(batch, user)
        sent = await self._producer.send_batch(batch, self.topics.sessions.name, partition=0)
        await sent
        return dict.fromkeys(users, self._visits)

    def _write(self, batch: object, user: str) -> None:
        session = Session(user, events_folded=self._visits)
        raw = encode_snapshot(Snapshot(Timeline(session), 0, self._visits, 0))
        assert batch.append(key=user.encode(), value=raw, timestamp=None) is not None  # type: ignore[attr-defined]

    @asynccontextmanager
    async def rescoring(self) -> AsyncIterator[None]:
        bundle = load_bundle(BUNDLES / "completejourney")
        rescorer = Rescorer(
            partial(
                started_consumer,
                self._stack.bootstrap_servers,
                self.topics.sessions.name,
                group_id=self.group,
            ),
            self.store,
            ModelSlot(Model(bundle, OnnxScorer(bundle, threads=1), max_batch=4)),
            room=self.room,
        )
        running = asyncio.create_task(rescorer.run())
        try:
            yield
        finally:
            rescorer.stop()
            await running

    async def lists_of(self, users: list[str]) -> dict[str, int]:
        held = await self.store.read_many(users)
        return {u: ready.version for u, ready in zip(users, held, strict=True) if ready}

    async def until_served(self, versions: Mapping[str, int]) -> None:
        async def served() -> bool:
            return await self.lists_of(list(versions)) == versions

        await until(served, "every list's newest version")

    async def until_committed(self) -> None:
        watch = await started_consumer(self._stack.bootstrap_servers, group_id=self.group)
        source = TopicPartition(self.topics.sessions.name, 0)
        end = (await watch.end_offsets([source]))[source]

        async def committed() -> bool:
            return await watch.committed(source) == end

        try:
            await until(committed, "the commit of all that was read")
        finally:
            await watch.stop()


def count(counter: object) -> float:
    return float(counter._value.get())  # type: ignore[attr-defined]


@pytest.fixture
async def shop(stack: LocalStack, producer: AIOKafkaProducer) -> AsyncIterator[CrowdedShop]:
    store = RedisStore(stack.redis_url)
    opened = CrowdedShop(stack, producer, store)
    await create_topics(stack.bootstrap_servers, opened.topics, 1)
    yield opened
    await store.close()


async def test_a_rush_sheds_the_stalest_and_heals_when_they_come_again(shop: CrowdedShop) -> None:
    run = uuid4().hex[:6]
    users = [f"rush{number}-{run}" for number in range(_BURST)]
    async with shop.rescoring():
        await shop.until_served(await shop.visit([f"first-{run}"]))
        await shop.until_committed()  # from here on it is no backlog
        shed = count(metrics.SHED)
        await shop.visit(users)
        await shop.until_committed()  # what was shed does not hold it back
        assert len(shop.room) <= 16
        missing = [user for user in users if user not in await shop.lists_of(users)]
        assert len(missing) == count(metrics.SHED) - shed > 0
        assert not set(missing) & set(users[-8:])  # the newest are served
        for at in range(0, len(missing), 16):
            await shop.until_served(await shop.visit(missing[at : at + 16]))


async def test_what_lay_in_the_topic_at_the_start_is_waited_for_not_shed(
    shop: CrowdedShop,
) -> None:
    run = uuid4().hex[:6]
    versions: dict[str, int] = {}
    for part in range(10):
        versions |= await shop.visit([f"old{part}-{number}-{run}" for number in range(7)])
    shed = count(metrics.SHED)
    async with shop.rescoring():
        await shop.until_served(versions)
        await shop.until_committed()
    assert count(metrics.SHED) == shed


async def test_redis_that_goes_away_is_waited_for_and_gets_every_newest_list(
    stack: LocalStack, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    redis = start_valkey(port, tmp_path / "first")
    store = RedisStore(f"redis://127.0.0.1:{port}/0")
    shop = CrowdedShop(stack, producer, store)
    await create_topics(stack.bootstrap_servers, shop.topics, 1)
    users = [f"away{number}" for number in range(12)]
    try:
        async with shop.rescoring():
            await shop.until_served(await shop.visit(users))
            retries, shed = count(metrics.REDIS_RETRIES), count(metrics.SHED)
            await asyncio.to_thread(redis.kill)
            await shop.visit(users)

            async def is_missed() -> bool:
                return count(metrics.REDIS_RETRIES) > retries

            await until(is_missed, "a write that finds nobody")
            read = count(metrics.READ)
            versions = await shop.visit(["the first that is read with this in mind"])

            async def is_read() -> bool:
                return count(metrics.READ) > read

            await until(is_read, "a read")
            for part in range(8):
                versions |= await shop.visit([f"away{part}-{number}" for number in range(12)])
            versions |= await shop.visit(users)
            redis = await asyncio.to_thread(start_valkey, port, tmp_path / "second")
            await shop.until_served(versions)
            await shop.until_committed()
            assert count(metrics.SHED) == shed
    finally:
        await store.close()
        await asyncio.to_thread(redis.stop)


@pytest.mark.parametrize(
    "rubbish",
    [b"", b"rubbish", b"\x94\x01\x02\x03\x04", b"\x91" * 5_000 + b"\x01", b"\x94\xa1\xff"],
)
async def test_a_snapshot_that_cannot_be_read_is_passed_over_and_counted(
    shop: CrowdedShop, producer: AIOKafkaProducer, rubbish: bytes
) -> None:
    topic, unreadable = shop.topics.sessions.name, count(metrics.UNREADABLE)
    run = uuid4().hex[:6]
    await producer.send_and_wait(topic, rubbish, f"rubbish-{run}".encode(), partition=0)
    await producer.send_and_wait(topic, rubbish, b"\xff\xfe", partition=0)
    async with shop.rescoring():
        await shop.until_served(await shop.visit([f"after-{run}"]))
        await shop.until_committed()
    assert count(metrics.UNREADABLE) == unreadable + 2
    assert await shop.lists_of([f"rubbish-{run}"]) == {}
