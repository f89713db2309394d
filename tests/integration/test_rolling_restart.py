"""Workers with fixed names are restarted one after the other: who stays goes on."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition

from endcap.deploy.bench.stream_process import StreamProcess
from endcap.deploy.local_stack import LocalStack
from endcap.events import Event, EventType
from endcap.streams.clients import (
    create_topics,
    started_consumer,
    started_producer,
    stop_producer,
)
from endcap.streams.event_producer import EventProducer
from endcap.topics import topics_with_prefix

_PREFIX = "rolling"
_PARTITIONS = 4


async def test_a_restart_leaves_the_other_worker_its_partitions(stack: LocalStack) -> None:
    topics = topics_with_prefix(_PREFIX)
    await create_topics(stack.bootstrap_servers, topics, _PARTITIONS)
    group = await started_consumer(stack.bootstrap_servers, group_id=f"{_PREFIX}-stream")
    producer = await started_producer(stack.bootstrap_servers)
    events = EventProducer(producer, topics.events.name)
    workers = [_worker(stack, number) for number in (1, 2)]
    try:
        await _visit(events, "first")
        await _both_take_part(workers)
        await _folded(group, topics.events.name, _PARTITIONS)
        before = _acquired(workers)
        workers[0].child.stop(30)
        await _visit(events, "second")
        # Nobody else may have the partitions of who will be back: half of them goes on.
        await _folded(group, topics.events.name, _PARTITIONS // 2)
        workers[0] = _worker(stack, 1)
        await _folded(group, topics.events.name, _PARTITIONS)
        assert _acquired(workers) == [_PARTITIONS // 2, before[1]]
    finally:
        for worker in workers:
            worker.child.stop(30)
        await stop_producer(producer)
        await group.stop()


def _worker(stack: LocalStack, number: int) -> StreamProcess:
    return StreamProcess(
        stack,
        _PREFIX,
        number,
        {"ENDCAP_GROUP_INSTANCE_ID": f"worker-{number}", "ENDCAP_SESSION_TIMEOUT_S": "40"},
    )


async def _both_take_part(workers: list[StreamProcess]) -> None:
    async with asyncio.timeout(60):
        while True:
            if all(_acquired(workers)):
                return
            await asyncio.sleep(0.05)


def _acquired(workers: list[StreamProcess]) -> list[int]:
    return [worker.count("endcap_stream_acquired_total") for worker in workers]


async def _visit(events: EventProducer, name: str) -> None:
    """One event for each of many shoppers: some in every partition."""
    for shopper in range(40):
        await events.send(
            Event(
                event_id=f"{name}-{shopper}",
                user_id=f"u{shopper}",
                event_name=EventType.SEARCH,
                timestamp_ms=1_700_000_000_000,
            )
        )


async def _folded(group: AIOKafkaConsumer, topic: str, partitions: int) -> None:
    """Returns when so many partitions are committed to their ends."""
    ends = await group.end_offsets([TopicPartition(topic, n) for n in range(_PARTITIONS)])
    async with asyncio.timeout(60):
        while True:
            committed = {tp: await group.committed(tp) for tp in ends}
            if sum(committed[tp] == end for tp, end in ends.items()) >= partitions:
                return
            await asyncio.sleep(0.05)
