"""What a test sends to the session workers, and what they made of it."""

import asyncio
from collections.abc import Iterable

from aiokafka import TopicPartition

from endcap.events import Event
from endcap.sessions import Session
from endcap.streams.clients import started_consumer, started_producer, stop_producer
from endcap.streams.event_producer import EventProducer
from endcap.timeline import decode_snapshot
from endcap.topics import Topics


async def send_events(bootstrap_servers: str, topics: Topics, events: Iterable[Event]) -> None:
    """In this order; returns when the broker has them all."""
    producer = await started_producer(bootstrap_servers)
    try:
        sink = EventProducer(producer, topics.events.name)
        for acknowledged in [await sink.enqueue(event) for event in events]:
            await acknowledged
    finally:
        await stop_producer(producer)


async def sessions_in(bootstrap_servers: str, topics: Topics) -> dict[str, Session]:
    """By user id, the newest of each; those that were ended are not there.

    Who commits hears of it before every partition shows it: what is not decided is waited for.
    """
    topic = topics.sessions.name
    whole = await started_consumer(bootstrap_servers, topic)
    reader = await started_consumer(bootstrap_servers, topic, isolation_level="read_committed")
    newest: dict[str, bytes | None] = {}
    try:
        ends = await whole.end_offsets(whole.assignment())
        async with asyncio.timeout(90):
            while any([await reader.position(source) < end for source, end in ends.items()]):
                for records in (await reader.getmany(timeout_ms=200)).values():
                    newest |= {record.key.decode(): record.value for record in records}
    finally:
        await whole.stop()
        await reader.stop()
    return {user: decode_snapshot(raw).session for user, raw in newest.items() if raw is not None}


async def until_committed(
    bootstrap_servers: str, group_id: str, *topics: str, partitions: int = 2
) -> None:
    """Returns when the group has committed all that is in the topics now."""
    group = await started_consumer(bootstrap_servers, group_id=group_id)
    try:
        ends = await group.end_offsets(
            [TopicPartition(topic, number) for topic in topics for number in range(partitions)]
        )
        async with asyncio.timeout(90):
            while True:
                if all([(await group.committed(tp) or 0) >= end for tp, end in ends.items()]):
                    return
                await asyncio.sleep(0.05)
    finally:
        await group.stop()
