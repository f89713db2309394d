"""One member of a consumer group, with a task for each partition that it owns."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from endcap.streams.clients import started_consumer
from endcap.streams.partition_tasks import PartitionTask, PartitionTasks

_OFTEN_MS = 1000


def heartbeat_ms(session_timeout_ms: int) -> int:
    """Often enough that one that is lost does no harm, and that a rebalance, of which members hear
    with their heartbeats, is over soon."""
    return min(_OFTEN_MS, session_timeout_ms // 4)


class GroupMember(ABC):
    """Works on what the group assigns to it, from `take_part()` until `stop()`."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()
        self._tasks = PartitionTasks(self._ended)

    def stop(self) -> None:
        """Finish the batches in hand, then return from `take_part()`."""
        self._ended.set()

    @abstractmethod
    def tasks_of(
        self, consumer: AIOKafkaConsumer, assigned: set[TopicPartition]
    ) -> Sequence[PartitionTask]:
        """What is to be done for these partitions, and no others any more."""

    async def take_part(
        self, bootstrap_servers: str, topics: Sequence[str], **settings: Any
    ) -> None:
        """Be a member, with these settings of the consumer, until stopped.

        Raises:
            BrokerUnavailableError: no broker answers at the start.
            Exception: what one partition's task failed of and cannot mend by itself.
        """
        consumer = await started_consumer(
            bootstrap_servers, isolation_level="read_committed", **settings
        )
        try:
            consumer.subscribe(topics, listener=_Assignment(self, consumer))
            await self._ended.wait()
        finally:
            failures = await self.release()
            await consumer.stop()
        if failures:
            raise failures[0]

    def own(self, consumer: AIOKafkaConsumer, assigned: set[TopicPartition]) -> None:
        """Start working on partitions."""
        for task in self.tasks_of(consumer, assigned):
            self._tasks.start(task)

    async def release(self) -> list[BaseException]:
        """Let the batches in hand end; returns what tasks had failed of."""
        return await self._tasks.release()


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, member: GroupMember, consumer: AIOKafkaConsumer) -> None:
        self._member = member
        self._consumer = consumer

    async def on_partitions_revoked(self, _revoked: set[TopicPartition]) -> None:
        await self._member.release()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._member.own(self._consumer, assigned)
