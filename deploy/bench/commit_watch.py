"""How far a group of session workers has committed, asked from beside it."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from endcap.errors import EndcapError
from endcap.streams.clients import read_whole
from endcap.topics import Topic, Topics

RECOVER_S = 120.0
_ANSWER_S = 5.0
_POLL_S = 0.05


class CommitWatch:
    """Ends of the partitions of events, and what the group has committed of them.

    `consumer`: a started one of the group, which is assigned nothing.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Topics,
        partitions: int,
        consumer: AIOKafkaConsumer,
        log_dir: Path,
    ) -> None:
        self._bootstrap = bootstrap_servers
        self._topics = topics
        self._partitions = partitions
        self._consumer = consumer
        self._log_dir = log_dir

    async def ends(self) -> dict[TopicPartition, int]:
        """Behind the last event of each partition."""
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(
            self._all_of(self._topics.events)
        )
        return ends

    async def parcels(self) -> dict[TopicPartition, int]:
        """Behind the last parcel of each partition: what follows it are Kafka's own marks."""
        ends: dict[TopicPartition, int] = {}
        topic = self._topics.handovers.name
        async for record in read_whole(self._bootstrap, topic):
            if record.value is not None:
                ends[TopicPartition(topic, record.partition)] = record.offset + 1
        return ends

    async def reached(
        self, ends: dict[TopicPartition, int], check: Callable[[], None] = lambda: None
    ) -> None:
        """Returns when the group has committed up to `ends`; calls `check` now and then.

        Raises:
            EndcapError: it has not within `RECOVER_S`.
        """
        deadline = time.monotonic() + RECOVER_S
        behind = dict(ends)
        while behind:
            check()
            if time.monotonic() > deadline:
                raise EndcapError(
                    f"After {RECOVER_S:.0f} s {behind} were still not committed; the workers' "
                    f"logs are in {self._log_dir}."
                )
            for tp in list(behind):
                try:
                    committed = await asyncio.wait_for(self._consumer.committed(tp), _ANSWER_S)
                except (KafkaError, TimeoutError):
                    continue
                if (committed or 0) >= behind[tp]:
                    del behind[tp]
            await asyncio.sleep(_POLL_S)

    def _all_of(self, topic: Topic) -> list[TopicPartition]:
        return [TopicPartition(topic.name, number) for number in range(self._partitions)]
