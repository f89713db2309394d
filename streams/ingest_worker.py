"""The ingest worker: other systems' topics in, native events out, each record once.

The consumer group says whose a partition is; the partition's transactional id makes sure of it.
One task a partition reads, translates, writes and commits by itself.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from endcap.errors import TopicsDifferError
from endcap.streams import metrics
from endcap.streams.clients import partition_counts
from endcap.streams.group_member import GroupMember, heartbeat_ms
from endcap.streams.ingest_batch import IngestedBatch, Source
from endcap.streams.ingest_partition import IngestPartition
from endcap.streams.lag import Lag
from endcap.streams.partition_tasks import PartitionTask
from endcap.streams.start import Start, resume
from endcap.topics import Topic, Topics

MAX_BATCH = 5_000
"""Records a read; Kafka's own bound of a megabyte a partition and request holds as well."""
_POLL_MS = 200


class IngestPlace(NamedTuple):
    """Where the worker works, and how long it may be silent."""

    bootstrap_servers: str
    topics: Topics
    group_id: str
    session_timeout_ms: int = 10_000
    start: Start = Start()

    @property
    def heartbeat_ms(self) -> int:
        """See `heartbeat_ms` of group members."""
        return heartbeat_ms(self.session_timeout_ms)


class IngestWorker(GroupMember):
    """One member of the consumer group. `run()` returns after `stop()`."""

    def __init__(
        self, place: IngestPlace, sources: Sequence[Source], instance_id: str | None = None
    ) -> None:
        super().__init__()
        self._place = place
        self._sources = {source.topic: source for source in sources}
        self._instance_id = instance_id

    async def run(self) -> None:
        """Work until stopped.

        Raises:
            BrokerUnavailableError: no broker answers at the start.
            TopicsDifferError: a topic is missing.
            Exception: what one partition's task failed of and cannot mend by itself.
        """
        await _all_there(self._place, list(self._sources))
        await self.take_part(
            self._place.bootstrap_servers,
            list(self._sources),
            group_id=self._place.group_id,
            group_instance_id=self._instance_id,
            session_timeout_ms=self._place.session_timeout_ms,
            heartbeat_interval_ms=self._place.heartbeat_ms,
        )

    def tasks_of(
        self, consumer: AIOKafkaConsumer, assigned: set[TopicPartition]
    ) -> list[PartitionTask]:
        """One for each partition of each source."""
        return [
            PartitionTask(
                f"{tp.topic}, partition {tp.partition},",
                self._place.heartbeat_ms,
                partial(self._hold, consumer, tp),
            )
            for tp in sorted(assigned)
        ]

    async def _hold(
        self, consumer: AIOKafkaConsumer, tp: TopicPartition, task: PartitionTask
    ) -> None:
        place, source = self._place, self._sources[tp.topic]
        owned = await IngestPartition.acquire(
            place.bootstrap_servers, source, tp, place.topics, place.group_id
        )
        lag = Lag(metrics.INGEST_LAG, {tp.topic: source.name}, [tp])
        try:
            await resume(consumer, tp, place.start)
            while not task.released.is_set():
                found = await consumer.getmany(tp, timeout_ms=_POLL_MS, max_records=MAX_BATCH)
                if tp in found:
                    started = time.perf_counter()
                    self.handled(source, await owned.ingest(found[tp]))
                    metrics.INGEST_SECONDS.observe(time.perf_counter() - started)
                    task.progressed()
                await lag.look(consumer)
        finally:
            lag.forget()
            await owned.release()

    def handled(self, source: Source, batch: IngestedBatch) -> None:
        """Count a batch that is committed."""
        for outcome, times in batch.outcomes.items():
            metrics.INGESTED.labels(source.name, outcome).inc(times)
        for letter in batch.dead_letters:
            metrics.DEAD_LETTERS.labels(letter.error.reason).inc()


async def _all_there(place: IngestPlace, sources: Sequence[str]) -> None:
    own = (place.topics.events, place.topics.dead_letters)
    wanted = [*own, *(Topic(name, compacted=False) for name in sources)]
    counts = await partition_counts(place.bootstrap_servers, wanted)
    missing = [topic.name for topic, count in counts.items() if count == 0]
    if missing:
        raise TopicsDifferError(
            f"{place.bootstrap_servers} has no {', '.join(missing)}. `endcap topics create` makes "
            "endcap's own topics; a source's must be there before."
        )
