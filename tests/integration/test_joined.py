"""Session worker and rescorer in one process: the same lists, a hop earlier, whatever fails."""

import asyncio
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import ProducerFenced
from awaited import until
from command_line import ENDCAP, settings_for
from stream_topics import send_events, sessions_in, until_committed

from endcap.bundle import Bundle, load_bundle
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.settings import BUNDLES
from endcap.erasure import Request, encode_erasure
from endcap.events import Event, EventItem, EventType
from endcap.lists import RecommendationList
from endcap.serving.model_slot import Model, ModelSlot
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.redis_store import RedisStore
from endcap.serving.rescorer import Rescorer
from endcap.serving.waiting_room import WaitingRoom
from endcap.sessions import fold_all
from endcap.streams.clients import create_topics, started_consumer
from endcap.streams.folded_batch import Partition
from endcap.streams.owned_partition import OwnedPartition, Place
from endcap.streams.session_store import MemorySessions
from endcap.streams.session_worker import FastLane, SessionWorker
from endcap.topics import Topics, topics_with_prefix

pytestmark = pytest.mark.integration

_PARTITIONS = 2
_KINDS = [EventType.VIEW_ITEM, EventType.ADD_TO_CART, EventType.PURCHASE]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(BUNDLES / "completejourney")


@pytest.fixture(scope="module")
def scorer(bundle: Bundle) -> OnnxScorer:
    return OnnxScorer(bundle, threads=1)


def shopping(bundle: Bundle, users: Sequence[str], count: int) -> list[Event]:
    rng = random.Random(5)
    run = uuid4().hex
    return [
        Event(
            event_id=f"{run}-{number}",
            user_id=rng.choice(users),
            event_name=rng.choice(_KINDS),
            timestamp_ms=1_700_000_000_000 + number * 1_000,
            transaction_id=f"t{number}",
            items=(EventItem(bundle.items[rng.randrange(200)].item_id),),
        )
        for number in range(count)
    ]


@asynccontextmanager
async def rescoring(
    stack: LocalStack, topics: Topics, rescorer_of: Callable[..., Rescorer]
) -> AsyncIterator[Rescorer]:
    running = rescorer_of(
        partial(
            started_consumer,
            stack.bootstrap_servers,
            topics.sessions.name,
            group_id=f"{topics.events.name}-r",
        )
    )
    task = asyncio.create_task(running.run())
    try:
        yield running
    finally:
        running.stop()
        await task


async def test_both_forms_make_the_same_lists(
    stack: LocalStack, bundle: Bundle, scorer: OnnxScorer
) -> None:
    users = [f"u{number}-{uuid4().hex[:6]}" for number in range(40)]
    events = shopping(bundle, users, 400)
    expected = {user: s.events_folded for user, s in fold_all(events).items()}
    found: list[dict[str, RecommendationList]] = []
    for number, is_joined in enumerate([True, False], start=2):
        topics = topics_with_prefix(f"t{uuid4().hex[:8]}")
        await create_topics(stack.bootstrap_servers, topics, _PARTITIONS)
        # A database of its own: lists know no prefix.
        store = RedisStore(stack.redis_url.removesuffix("/0") + f"/{number}")
        room = WaitingRoom()
        worker = SessionWorker(
            Place(stack.bootstrap_servers, topics, f"{topics.events.name}-w"),
            fast_lane=FastLane(room.hand_over) if is_joined else None,
        )
        working = asyncio.create_task(worker.run())
        rescorer_of = partial(
            Rescorer, writer=store, slot=ModelSlot(Model(bundle, scorer)), room=room
        )
        async with rescoring(stack, topics, rescorer_of):
            await send_events(stack.bootstrap_servers, topics, events)

            async def all_there(store: RedisStore = store) -> bool:
                lists = await store.read_many(users)
                held = zip(users, lists, strict=True)
                return {u: ready and ready.version for u, ready in held} == expected

            await until(all_there, "every list's newest version")
            lists = await store.read_many(users)
            found.append({u: ready for u, ready in zip(users, lists, strict=True) if ready})
            worker.stop()
            await working
        await store.close()
    assert {u: ready.items for u, ready in found[0].items()} == {
        u: ready.items for u, ready in found[1].items()
    }


class AheadOfItsCommit:
    """A partition whose owner has folded and shown three views of `user`, and committed nothing."""

    def __init__(self, stack: LocalStack, topics: Topics) -> None:
        self.place = Place(stack.bootstrap_servers, topics, f"{topics.events.name}-w")
        self.events = TopicPartition(topics.events.name, 0)
        self.erasures = TopicPartition(topics.erasures.name, 0)
        self.user = f"ahead-{uuid4().hex[:8]}"

    async def view(self, stack: LocalStack, bundle: Bundle, count: int) -> None:
        events = shopping(bundle, [self.user], count)
        await send_events(stack.bootstrap_servers, self.place.topics, events)

    async def acquire(self) -> OwnedPartition:
        return await OwnedPartition.acquire(self.place, Partition(0), MemorySessions())


async def records_of(
    consumer: AIOKafkaConsumer, source: TopicPartition, count: int
) -> list[object]:
    return [await asyncio.wait_for(consumer.getone(source), 30) for _ in range(count)]


@pytest.mark.parametrize("what_comes_between", ["nothing", "another event", "an erasure"])
async def test_a_list_shown_before_its_transaction_failed_is_replaced(
    stack: LocalStack,
    bundle: Bundle,
    scorer: OnnxScorer,
    producer: AIOKafkaProducer,
    what_comes_between: str,
) -> None:
    topics = topics_with_prefix(f"t{uuid4().hex[:8]}")
    await create_topics(stack.bootstrap_servers, topics, 1)
    ahead = AheadOfItsCommit(stack, topics)
    store, room = RedisStore(stack.redis_url), WaitingRoom()
    consumer = await started_consumer(stack.bootstrap_servers)
    consumer.assign([ahead.events, ahead.erasures])
    rescorer_of = partial(Rescorer, writer=store, slot=ModelSlot(Model(bundle, scorer)), room=room)

    async def version() -> int | None:
        ready = await store.read(ahead.user)
        return ready.version if ready else None

    try:
        async with rescoring(stack, topics, rescorer_of):
            owner = await ahead.acquire()
            await ahead.view(stack, bundle, 1)
            first = await records_of(consumer, ahead.events, 1)
            room.hand_over((await owner.fold({ahead.events: first})).snapshots)
            await ahead.view(stack, bundle, 2)
            more = await records_of(consumer, ahead.events, 2)
            room.hand_over(owner.fold_ahead({ahead.events: more}).snapshots)

            async def is_shown() -> bool:
                return await version() == 3

            await until(is_shown, "the list ahead of its commit")
            rival = await ahead.acquire()
            with pytest.raises(ProducerFenced):
                await owner.commit()
            await owner.release()
            shown = await store.read(ahead.user)
            found = {ahead.events: more}
            if what_comes_between == "another event":
                await ahead.view(stack, bundle, 1)
                found[ahead.events] = more + await records_of(consumer, ahead.events, 1)
            elif what_comes_between == "an erasure":
                key, value = encode_erasure(Request("r", ahead.user))
                await producer.send_and_wait(topics.erasures.name, value, key, partition=0)
                found[ahead.erasures] = await records_of(consumer, ahead.erasures, 1)
            await rival.fold(found)
            await rival.release()
            expected = {"nothing": 3, "another event": 4, "an erasure": None}[what_comes_between]

            async def is_replaced() -> bool:
                ready = await store.read(ahead.user)
                return await version() == expected and (
                    expected != 3 or room.unfinished == 0 or ready != shown
                )

            await until(is_replaced, "the list of what was committed")
    finally:
        await consumer.stop()
        await store.close()


async def test_killed_in_mid_stream_it_leaves_sessions_right_and_every_list_new(
    stack: LocalStack, bundle: Bundle, tmp_path: Path
) -> None:
    prefix = f"t{uuid4().hex[:8]}"
    topics = topics_with_prefix(prefix)
    await create_topics(stack.bootstrap_servers, topics, _PARTITIONS)
    users = [f"k{number}-{prefix}" for number in range(60)]
    events = shopping(bundle, users, 900)
    expected = fold_all(events)
    store = RedisStore(stack.redis_url)
    environment = {
        **os.environ,
        **settings_for(stack, prefix),
        "ENDCAP_GROUP_INSTANCE_ID": "joined-1",
        "ENDCAP_DATA_DIR": str(tmp_path),
    }

    def start() -> "subprocess.Popen[bytes]":
        return subprocess.Popen([*ENDCAP, "stream", "--rescore"], env=environment)

    async def versions() -> dict[str, int]:
        lists = await store.read_many(users)
        return {u: ready.version for u, ready in zip(users, lists, strict=True) if ready}

    process, kills = start(), 0
    try:
        for first in range(0, len(events), 300):
            before = sum((await versions()).values())
            await send_events(stack.bootstrap_servers, topics, events[first : first + 300])

            async def some_more(before: int = before) -> bool:
                return sum((await versions()).values()) > before

            await until(some_more, "a list after a chunk of events")
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            process = start()

        async def all_there() -> bool:
            return await versions() == {u: s.events_folded for u, s in expected.items()}

        await until(all_there, "every list's newest version")
        await until_committed(stack.bootstrap_servers, f"{prefix}-stream", topics.events.name)
    finally:
        process.terminate()
        process.wait(timeout=30)
        await store.close()
    assert kills == 3
    assert await sessions_in(stack.bootstrap_servers, topics) == expected
