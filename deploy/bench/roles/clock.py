"""Wall and CPU seconds of one process, from the moment that it has its partitions."""

import asyncio
import time

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from endcap.streams.clients import started_consumer


class Clock:
    """Runs from its making to `stop`."""

    def __init__(self) -> None:
        self._started, self._cpu = time.perf_counter(), time.process_time()

    def stop(self, events: int) -> dict[str, float]:
        """What a role prints."""
        return {
            "events": events,
            "seconds": time.perf_counter() - self._started,
            "cpu_s": time.process_time() - self._cpu,
        }


class FirstAssignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """`wait()` returns when the group has given the consumer its partitions."""

    def __init__(self) -> None:
        self._assigned = asyncio.Event()
        self.wait = self._assigned.wait

    async def on_partitions_revoked(self, _revoked: set[TopicPartition]) -> None:
        """A benchmark has one member; nobody takes anything from it."""

    async def on_partitions_assigned(self, _assigned: set[TopicPartition]) -> None:
        """See `wait`."""
        self._assigned.set()


async def assigned_consumer(bootstrap: str, topic: str, group: str) -> AIOKafkaConsumer:
    """A consumer that has its partitions."""
    consumer = await started_consumer(bootstrap, group_id=group)
    first = FirstAssignment()
    consumer.subscribe([topic], listener=first)
    await first.wait()
    return consumer
