"""Who was not seen for long is forgotten: by event time, in the batch's own transaction."""

from pathlib import Path

import pytest
from aiokafka import TopicPartition
from stream_topics import sessions_in

from endcap.deploy.local_stack import LocalStack
from endcap.events import Event, EventItem, EventType
from endcap.streams import disk_sessions
from endcap.streams.clients import (
    create_topics,
    started_consumer,
    started_producer,
    stop_producer,
)
from endcap.streams.disk_sessions import DiskSessions
from endcap.streams.event_producer import EventProducer
from endcap.streams.folded_batch import FoldedBatch, Partition
from endcap.streams.owned_partition import OwnedPartition, Place
from endcap.topics import Topics, topics_with_prefix

_DAY_MS = 86_400_000
_START_MS = 1_600_000_000_000


async def test_a_shopper_not_seen_for_long_is_forgotten_and_starts_anew(
    stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_sessions, "WRITE_AT_ROWS", 1)
    topics = topics_with_prefix("expiry")
    await create_topics(stack.bootstrap_servers, topics, 1)
    place = Place(
        stack.bootstrap_servers, topics, "expiry", forget_after_ms=30 * _DAY_MS, walk_every_s=0.0
    )
    source = TopicPartition(topics.events.name, 0)
    store = DiskSessions(tmp_path)
    owned = await OwnedPartition.acquire(place, Partition(0), store)
    consumer = await started_consumer(stack.bootstrap_servers)
    consumer.assign([source])
    producer = await started_producer(stack.bootstrap_servers)
    events = EventProducer(producer, topics.events.name)

    async def visit(user_id: str, day: int) -> FoldedBatch:
        item = EventItem(f"{user_id}-{day}")
        when_ms = _START_MS + day * _DAY_MS
        await events.send(
            Event(
                event_id=f"{user_id}-{day}",
                user_id=user_id,
                event_name=EventType.VIEW_ITEM,
                timestamp_ms=when_ms,
                items=(item,),
            )
        )
        return await owned.fold({source: [await consumer.getone(source)]})

    try:
        for user_id, day in [("gone", 0), ("regular", 0), ("regular", 20)]:
            assert (await visit(user_id, day)).expired == 0
        # Now "gone" is 31 days old; the next batch, whoever's it is, ends their session.
        assert (await visit("other", 31)).expired == 0
        assert (await visit("other", 32)).expired == 1
        assert store.get("gone") is None
        assert set(await _live(stack, topics)) == {"regular", "other"}
        await visit("gone", 33)
        assert await _live(stack, topics) == {
            "regular": ["regular-0", "regular-20"],
            "other": ["other-31", "other-32"],
            "gone": ["gone-33"],
        }
    finally:
        await stop_producer(producer)
        await consumer.stop()
        await owned.release()
        store.close()


async def _live(stack: LocalStack, topics: Topics) -> dict[str, list[str]]:
    """The items of each session that a reader of the whole topic ends with."""
    found = await sessions_in(stack.bootstrap_servers, topics)
    return {user: [past.item_id for past in session.history] for user, session in found.items()}
