"""Events through real Kafka to lists in a real Valkey, and what a crash leaves behind."""

import asyncio
import os
import random
import signal
import subprocess
from functools import partial
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from awaited import until
from command_line import ENDCAP, settings_for
from stream_topics import send_events, sessions_in, until_committed

from endcap.bundle import load_bundle
from endcap.catalogue import encode_item
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.settings import BUNDLES
from endcap.events import Event, EventItem, EventType, encode_event
from endcap.lists import RecommendationList
from endcap.serving.model_slot import Model, ModelSlot
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.redis_store import RedisStore
from endcap.serving.rescorer import Rescorer
from endcap.sessions import fold_all
from endcap.streams.clients import create_topics, started_consumer, started_producer
from endcap.streams.owned_partition import Place
from endcap.streams.session_worker import SessionWorker
from endcap.streams.topic_view import catalogue_view
from endcap.topics import topics_with_prefix

pytestmark = pytest.mark.integration


async def send(stack: LocalStack, topic: str, values: list[tuple[bytes, bytes]]) -> None:
    producer = await started_producer(stack.bootstrap_servers)
    try:
        waiting = [await producer.send(topic, value, key=key) for key, value in values]
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()


def an_event(user: str, number: int, kind: EventType, *items: str) -> Event:
    return Event(
        event_id=f"{user}-{number}",
        user_id=user,
        event_name=kind,
        timestamp_ms=1_700_000_000_000 + number,
        transaction_id=f"t{number}",
        items=tuple(map(EventItem, items)),
    )


async def test_an_event_becomes_a_list_and_rubbish_a_dead_letter(stack: LocalStack) -> None:
    topics = topics_with_prefix(f"t{uuid4().hex[:8]}")
    await create_topics(stack.bootstrap_servers, topics, partitions=2)
    bundle = load_bundle(BUNDLES / "completejourney")
    store = RedisStore(stack.redis_url)
    place = Place(stack.bootstrap_servers, topics, f"{topics.events.name}-w", 60_000)
    worker = SessionWorker(place)
    catalogue = catalogue_view(stack.bootstrap_servers, topics)
    sold_out = bundle.item(int(bundle.generators.popular[0]))
    catalogue_now = [
        encode_item(msgspec.structs.replace(item, in_stock=item != sold_out))
        for item in bundle.items
    ]
    await send(
        stack,
        topics.catalogue.name,
        [
            (item.item_id.encode(), now)
            for item, now in zip(bundle.items, catalogue_now, strict=True)
        ],
    )
    await catalogue.start()
    rescorer = Rescorer(
        partial(
            started_consumer,
            stack.bootstrap_servers,
            topics.sessions.name,
            group_id=f"{topics.events.name}-r",
        ),
        store,
        ModelSlot(Model(bundle, OnnxScorer(bundle, threads=1))),
        catalogue=catalogue,
    )
    running = [asyncio.create_task(worker.run()), asyncio.create_task(rescorer.run())]
    user = f"user-{uuid4().hex}"
    bought = bundle.items[3].item_id
    first = an_event(user, 1, EventType.PURCHASE, bought)
    view = an_event(user, 2, EventType.VIEW_ITEM, bundle.items[40].item_id)
    try:
        await send(
            stack,
            topics.events.name,
            [
                (user.encode(), encode_event(first)),
                (user.encode(), encode_event(first)),  # the client's retry
                (b"x", b"{not json"),
                (user.encode(), encode_event(view)),
            ],
        )

        async def newest() -> RecommendationList | None:
            ready = await store.read(user)
            return ready if ready and ready.version == 2 else None

        ready = await until(newest, "the list of version 2")
        assert len(ready.items) == 20
        ids = [item.id for item in ready.items]
        assert bought not in ids
        assert sold_out.item_id not in ids
        assert all(item.reason for item in ready.items)

        letters = await started_consumer(stack.bootstrap_servers, topics.dead_letters.name)
        try:
            letter = await asyncio.wait_for(letters.getone(), 30)
        finally:
            await letters.stop()
        headers = dict(letter.headers)
        assert letter.value == b"{not json"
        assert headers["__streams.errors.exception"] == b"not_json"
        assert b"JSON" in headers["__streams.errors.message"]
        assert headers["__streams.errors.topic"] == topics.events.name.encode()
    finally:
        worker.stop()
        rescorer.stop()
        await asyncio.gather(*running)
        await catalogue.stop()
        await store.close()


async def test_sigkill_in_mid_stream_leaves_sessions_equal_to_a_plain_fold(
    stack: LocalStack, tmp_path: Path
) -> None:
    prefix = f"t{uuid4().hex[:8]}"
    topics = topics_with_prefix(prefix)
    partitions = 2
    await create_topics(stack.bootstrap_servers, topics, partitions)
    rng = random.Random(11)
    kinds = [EventType.VIEW_ITEM, EventType.ADD_TO_CART, EventType.PURCHASE]
    events = [
        an_event(f"u{rng.randrange(200)}", number, rng.choice(kinds), f"i{rng.randrange(50)}")
        for number in range(6_000)
    ]
    environment = {
        **os.environ,
        **settings_for(stack, prefix),
        "ENDCAP_GROUP_INSTANCE_ID": "worker-1",
        "ENDCAP_DATA_DIR": str(tmp_path),
    }

    def start() -> "subprocess.Popen[bytes]":
        return subprocess.Popen([*ENDCAP, "stream"], env=environment)

    async def some_snapshots(more_than: int) -> int | None:
        consumer = await started_consumer(stack.bootstrap_servers)
        try:
            from aiokafka import TopicPartition

            tps = [TopicPartition(topics.sessions.name, p) for p in range(partitions)]
            written = sum((await consumer.end_offsets(tps)).values())
        finally:
            await consumer.stop()
        return written if written > more_than else None

    worker = start()
    kills, written = 0, 0
    try:
        for first in range(0, len(events), 1_500):
            await send_events(stack.bootstrap_servers, topics, events[first : first + 1_500])
            mark = written

            async def more(mark: int = mark) -> int | None:
                return await some_snapshots(mark)

            written = await until(more, "a snapshot after a chunk of events")
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            kills += 1
            worker = start()

        await until_committed(stack.bootstrap_servers, f"{prefix}-stream", topics.events.name)
    finally:
        worker.terminate()
        worker.wait(timeout=30)
    assert kills == 4
    assert await sessions_in(stack.bootstrap_servers, topics) == fold_all(events)
