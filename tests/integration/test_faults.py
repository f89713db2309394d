"""A short form of `endcap bench faults`: each kind of fault, on a broker of its own."""

import asyncio

import pytest
from rich.console import Console

from endcap.deploy.bench.faults import bench_faults
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.progress import Bars
from endcap.errors import BrokerUnavailableError
from endcap.streams.clients import (
    create_topics,
    started_transactional_producer,
    stop_producer,
    told_when_fenced,
)
from endcap.streams.folded_batch import Partition
from endcap.streams.owned_partition import OwnedPartition, Place
from endcap.streams.session_store import MemorySessions
from endcap.topics import topics_with_prefix

pytestmark = pytest.mark.integration


@pytest.mark.timeout(400)
def test_nothing_is_lost_doubled_or_out_of_order_under_each_fault() -> None:
    plan = {"kill": 2, "freeze": 2, "broker": 1, "rebalance": 1, "repeats": 1}
    with Bars(Console(stderr=True)) as bars:
        found = bench_faults(plan, None, bars, seed=3)
    assert found["faults"] == 7
    assert found["by_kind"] == plan
    assert found["events"] > found["unique_events"] > 1_000
    assert (found["lost"], found["doubled"], found["out_of_order"]) == (0, 0, 0)
    assert (found["deltas_lost"], found["deltas_doubled"]) == (0, 0)


async def test_who_takes_a_partition_over_fences_its_older_owner(stack: LocalStack) -> None:
    """Every time, whatever the older one was doing: here it sleeps between two batches."""
    from aiokafka import TopicPartition
    from aiokafka.errors import ProducerFenced

    topics = topics_with_prefix("fencing")
    await create_topics(stack.bootstrap_servers, topics, 1)
    place = Place(stack.bootstrap_servers, topics, "fencing-stream")
    source = TopicPartition(topics.events.name, 0)
    for _ in range(20):
        zombie = await OwnedPartition.acquire(place, Partition(0), MemorySessions())
        rival = await OwnedPartition.acquire(place, Partition(0), MemorySessions())
        with pytest.raises(ProducerFenced):
            await zombie.fold({source: [_record()]})
        await rival.fold({source: [_record()]})
        await zombie.release()
        await rival.release()


async def test_who_writes_on_after_being_fenced_is_told_so(stack: LocalStack) -> None:
    """The first record's answer says it; the next record must not look like a caller's mistake."""
    from aiokafka.errors import ProducerFenced

    topics = topics_with_prefix("fencedmidway")
    await create_topics(stack.bootstrap_servers, topics, 1)
    older = await started_transactional_producer(stack.bootstrap_servers, "fencedmidway")
    await older.begin_transaction()
    newer = await started_transactional_producer(stack.bootstrap_servers, "fencedmidway")
    try:
        with pytest.raises(ProducerFenced):
            await (await older.send(topics.events.name, b"first"))
        with pytest.raises(ProducerFenced), told_when_fenced():
            await older.send(topics.events.name, b"second")
    finally:
        await stop_producer(older)
        await stop_producer(newer)


def _record() -> object:
    from types import SimpleNamespace

    from endcap.events import Event, EventType, encode_event

    event = Event(
        event_id="e", user_id="u", event_name=EventType.SEARCH, timestamp_ms=1_700_000_000_000
    )
    return SimpleNamespace(
        value=encode_event(event),
        offset=0,
        timestamp=2_000,
        timestamp_type=1,
        key=b"u",
        headers=(),
        topic="fencing.events",
        partition=0,
    )


async def test_an_id_is_given_out_only_by_a_broker_that_answers() -> None:
    with pytest.raises(BrokerUnavailableError):
        await asyncio.wait_for(started_transactional_producer("127.0.0.1:9", "x"), 60)
