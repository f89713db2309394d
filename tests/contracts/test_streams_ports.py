"""What HTTP is promised by the two ports that Kafka stands behind."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from endcap.deploy.local_stack import LocalStack
from endcap.errors import BrokerUnavailableError
from endcap.events import Event, EventItem, EventType, parse_event
from endcap.sessions import Session
from endcap.streams.clients import create_topics, started_consumer, started_producer
from endcap.streams.event_producer import EventProducer
from endcap.streams.session_view import SessionView
from endcap.timeline import Snapshot, Timeline, encode_snapshot
from endcap.topics import Topics, topics_with_prefix

pytestmark = pytest.mark.integration
VIEW = Event(
    event_id="e1",
    user_id="u",
    event_name=EventType.VIEW_ITEM,
    timestamp_ms=1_700_000_000_000,
    items=(EventItem("milk"),),
)


@pytest.fixture
async def topics(stack: LocalStack) -> Topics:
    named = topics_with_prefix(f"t{uuid4().hex[:8]}")
    await create_topics(stack.bootstrap_servers, named, 2)
    return named


@pytest.fixture
async def sessions(stack: LocalStack, topics: Topics) -> AsyncIterator[SessionView]:
    view = SessionView(stack.bootstrap_servers, topics)
    yield view
    await view.stop()


async def test_an_event_is_in_the_topic_when_send_returns(
    stack: LocalStack, topics: Topics
) -> None:
    producer = await started_producer(stack.bootstrap_servers)
    await EventProducer(producer, topics.events.name).send(VIEW)
    await producer.stop()
    consumer = await started_consumer(stack.bootstrap_servers, topics.events.name)
    try:
        record = await asyncio.wait_for(consumer.getone(), 30)
    finally:
        await consumer.stop()
    assert record.key == b"u"
    assert parse_event(record.value, VIEW.timestamp_ms) == VIEW


async def test_a_producer_that_is_closed_is_an_error_of_ours(
    stack: LocalStack, topics: Topics
) -> None:
    producer = await started_producer(stack.bootstrap_servers)
    await producer.stop()
    with pytest.raises(BrokerUnavailableError, match="send the same again"):
        await EventProducer(producer, topics.events.name, acknowledge_s=1).send(VIEW)


async def test_a_session_is_the_newest_one_and_a_deleted_one_is_gone(
    stack: LocalStack, topics: Topics, sessions: SessionView
) -> None:
    async def say(user: str, session: Session | None) -> None:
        value = encode_snapshot(Snapshot(Timeline(session), 0, 0, 0)) if session else None
        await producer.send_and_wait(topics.sessions.name, value, key=user.encode())

    async def becomes(user: str, expected: Session | None) -> None:
        deadline = time.monotonic() + 30
        while await sessions.session(user) != expected:
            assert time.monotonic() < deadline, "the view did not follow the topic"
            await asyncio.sleep(0.01)

    producer = await started_producer(stack.bootstrap_servers)
    try:
        await say("ann", Session("ann", events_folded=1))
        await say("ann", Session("ann", events_folded=2))
        await sessions.start()
        # What was there at the start is there when start() returns.
        assert await sessions.session("ann") == Session("ann", events_folded=2)
        assert await sessions.session("ben") is None
        await say("ann", Session("ann", events_folded=3))
        await becomes("ann", Session("ann", events_folded=3))
        await say("ann", None)
        await becomes("ann", None)
    finally:
        await producer.stop()
