"""What endcap mends of aiokafka's clients, on a real broker."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.conn import CloseReason
from awaited import until

from endcap.deploy.local_stack import LocalStack
from endcap.streams.clients import create_topics, started_consumer
from endcap.topics import topics_with_prefix


class ReadsOnceMore(ConsumerRebalanceListener):  # type: ignore[misc]
    """Somebody is in the middle of a read when partitions go: here at the worst moment."""

    def __init__(self, read: Callable[[], Awaitable[Any]]) -> None:
        self._read = read
        self.revoked: list[Any] = []

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if revoked:
            self.revoked.append(await self._read())

    def on_partitions_assigned(self, _assigned: set[TopicPartition]) -> None:
        """Nothing is to be done."""


async def test_a_read_during_a_rebalance_ends_and_does_not_hold_the_rebalance_up(
    stack: LocalStack,
) -> None:
    topics = topics_with_prefix("rebalance")
    await create_topics(stack.bootstrap_servers, topics, 2)
    group = {"group_id": "rebalance", "heartbeat_interval_ms": 250}
    one = await started_consumer(stack.bootstrap_servers, **group)
    listener = ReadsOnceMore(lambda: one.getmany(timeout_ms=100))
    one.subscribe([topics.events.name], listener=listener)

    async def shared(*members: AIOKafkaConsumer) -> bool:
        return [len(member.assignment()) for member in members] == [2 // len(members)] * len(
            members
        )

    await until(lambda: shared(one))
    other = await started_consumer(stack.bootstrap_servers, topics.events.name, **group)
    try:
        # aiokafka's own read would wait for the rebalance, which waits for the listener, until the
        # broker takes this member for dead and gives all to the other.
        await until(lambda: shared(one, other))
        assert listener.revoked == [{}]
        assert one._subscription._fetch_count == 0
    finally:
        await other.stop()
        await one.stop()


def at_which_wait(consumer: AIOKafkaConsumer) -> list[str]:
    """Of each fetch that is under way."""
    fetches = [task.get_coro() for task in consumer._fetcher._pending_tasks]
    waits = [
        getattr(each.cr_await, "__name__", "")
        for each in fetches
        if each.__name__ == "_proc_fetch_request"
    ]
    return [{"send": "sent", "sleep": "asleep"}.get(wait, wait) for wait in waits]


async def test_stopping_while_the_broker_goes_away_is_no_cancellation(stack: LocalStack) -> None:
    topics = topics_with_prefix("stopping")
    await create_topics(stack.bootstrap_servers, topics, 1)
    consumer = await started_consumer(stack.bootstrap_servers)
    source = TopicPartition(topics.events.name, 0)
    consumer.assign([source])
    await consumer.position(source)
    consumer._fetcher._retry_backoff = 60.0
    connections = consumer._client._conns

    async def fetches() -> bool:
        return "sent" in at_which_wait(consumer)

    await until(fetches, "a fetch that waits for its answer")
    for connection in list(connections.values()):
        connection.close(CloseReason.CONNECTION_BROKEN)

    async def sleeps() -> bool:
        return "asleep" in at_which_wait(consumer)

    await until(sleeps, "a broken fetch that sleeps before the next", 10)
    await asyncio.wait_for(consumer.stop(), 30)
    assert not any(connection.connected() for connection in connections.values())
