"""The session worker: events in, sessions out, each event folded once.

The consumer group says whose a partition is; the partition's transactional id makes sure of it
(`owned_partition`). One task a partition reads, folds, writes and commits by itself.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError, ProducerFenced

from endcap.errors import BrokerUnavailableError, TopicsDifferError
from endcap.streams import metrics, native
from endcap.streams.clients import partition_counts, started_consumer
from endcap.streams.folded_batch import FoldedBatch, Partition
from endcap.streams.owned_partition import OwnedPartition, Place, Start
from endcap.streams.session_store import MemorySessions, SessionStore

log = logging.getLogger(__name__)

MAX_BATCH = 25_000
_POLL_MS = 200
_FETCH_WAIT_MS = 50
_RELEASE_S = 10.0
_FIRST_RETRY_S, _LAST_RETRY_S = 0.25, 8.0


def memory_store(_partition: int) -> SessionStore:
    """Sessions in memory alone: a restart reads the whole of its partitions back."""
    return MemorySessions()


class SessionWorker:
    """One member of the consumer group. `run()` returns after `stop()`."""

    def __init__(
        self,
        place: Place,
        instance_id: str | None = None,
        open_store: Callable[[int], SessionStore] = memory_store,
    ) -> None:
        self._place = place
        self._instance_id = instance_id
        self._open_store = open_store
        self._stores: dict[int, SessionStore] = {}
        self._owning: dict[int, _Owning] = {}
        self._ended = asyncio.Event()
        self._said_misplaced = False

    def stop(self) -> None:
        """Finish the batches in hand, then return from `run()`."""
        self._ended.set()

    async def run(self) -> None:
        """Work until stopped.

        Raises:
            BrokerUnavailableError: no broker answers at the start.
            TopicsDifferError: a topic is missing or has another number of partitions.
            Exception: what one partition's task failed of and cannot mend by itself.
        """
        natively = self._place.natively
        log.log(logging.INFO if natively else logging.WARNING, native.describe(natively))
        metrics.NATIVE_FOLD.set(natively)
        self._partitions = await _equal_partitions(self._place)
        consumer = await started_consumer(
            self._place.bootstrap_servers,
            group_id=self._place.group_id,
            group_instance_id=self._instance_id,
            session_timeout_ms=self._place.session_timeout_ms,
            heartbeat_interval_ms=self._place.heartbeat_ms,
            isolation_level="read_committed",
            # While events wait unread, a request for the quiet topics alone holds up all others.
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            # Partition n of each topic goes to the same worker: a shopper's records meet.
            partition_assignment_strategy=(RangePartitionAssignor,),
        )
        topics = self._place.topics
        try:
            consumer.subscribe(
                [topics.events.name, topics.handovers.name, topics.erasures.name],
                listener=_Assignment(self, consumer),
            )
            await self._ended.wait()
        finally:
            failures = await self.release()
            await consumer.stop()
            for store in self._stores.values():
                store.close()
        if failures:
            raise failures[0]

    def own(self, consumer: AIOKafkaConsumer, assigned: set[TopicPartition]) -> None:
        """Start working on partitions. Stores of others are of no use any more."""
        numbers = {tp.partition for tp in assigned}
        for number in self._stores.keys() - numbers:
            self._stores.pop(number).close()
        for number in sorted(numbers):
            sources = [tp for tp in assigned if tp.partition == number]
            owning = self._owning[number] = _Owning()
            owning.task = asyncio.create_task(self._work(consumer, sources, owning.released))
            owning.task.add_done_callback(self._stop_if_failed)

    async def release(self) -> list[BaseException]:
        """Let the batches in hand end; returns what tasks had failed of.

        A batch that cannot end (its broker is away) is abandoned: the next owner aborts it.
        """
        owning, self._owning = self._owning, {}
        tasks = [each.task for each in owning.values() if each.task]
        for each in owning.values():
            each.released.set()
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=_RELEASE_S)
            for task in unfinished:
                task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        return [
            error
            for error in ended
            if error is not None and not isinstance(error, asyncio.CancelledError)
        ]

    def _stop_if_failed(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self._ended.set()

    async def _work(
        self, consumer: AIOKafkaConsumer, sources: list[TopicPartition], released: asyncio.Event
    ) -> None:
        """Own the partition until released; whatever Kafka fails of, acquire it anew."""
        number, retry_s = sources[0].partition, _FIRST_RETRY_S
        partition = Partition(number, self._partitions)
        while not released.is_set():
            try:
                if number not in self._stores:
                    self._stores[number] = self._open_store(number)
                owned = await OwnedPartition.acquire(self._place, partition, self._stores[number])
                try:
                    for source in sources:
                        is_events = source.topic == self._place.topics.events.name
                        await _resume(consumer, source, self._place.start if is_events else Start())
                    while not released.is_set():
                        if await self._one_batch(consumer, sources, owned):
                            retry_s = _FIRST_RETRY_S
                finally:
                    await owned.release()
            except IllegalStateError:
                return  # not assigned any more; who is will be told
            except ProducerFenced:
                metrics.FENCED.inc()
                log.warning("partition %d has another owner now", number)
                # Who slept through their expulsion hear of it with their next heartbeat. Until
                # then they must not take the partition back from its rightful owner.
                await _pause(released, 2 * self._place.heartbeat_ms / 1000)
            except (KafkaError, BrokerUnavailableError) as error:
                metrics.RETRIES.inc()
                log.warning("partition %d is acquired anew in %.1f s: %r", number, retry_s, error)
                # Not all at once: the partitions of a broker fail together.
                await _pause(released, retry_s * random.uniform(0.5, 1.0))  # noqa: S311
                retry_s = min(2 * retry_s, _LAST_RETRY_S)

    async def _one_batch(
        self, consumer: AIOKafkaConsumer, sources: list[TopicPartition], owned: OwnedPartition
    ) -> bool:
        found = await consumer.getmany(*sources, timeout_ms=_POLL_MS, max_records=MAX_BATCH)
        if not found:
            return False
        started = time.perf_counter()
        self.handled(await owned.fold(found))
        metrics.BATCH.observe(sum(map(len, found.values())))
        oldest = min(records[-1].timestamp for records in found.values())
        metrics.EVENT_AGE.observe(max(0.0, time.time() - oldest / 1000))
        metrics.FOLD_SECONDS.observe(time.perf_counter() - started)
        metrics.SESSIONS.set(sum(map(len, self._stores.values())))
        return True

    def handled(self, batch: FoldedBatch) -> None:
        """Count a batch that is committed."""
        for outcome, times in batch.outcomes.items():
            metrics.EVENTS.labels(outcome).inc(times)
        for letter in batch.dead_letters:
            metrics.DEAD_LETTERS.labels(letter.error.reason).inc()
        for outcome, times in batch.opened.items():
            metrics.HANDOVERS.labels(outcome).inc(times)
        metrics.SNAPSHOTS.inc(len(batch.snapshots))
        metrics.NATIVE_EVENTS.inc(batch.native)
        metrics.ERASED.inc(len(batch.erased))
        metrics.EXPIRED.inc(batch.expired)
        if batch.misplaced:
            metrics.MISPLACED.inc()
            if not self._said_misplaced:
                self._said_misplaced = True
                log.warning(
                    "events are not where Kafka's own partitioner puts their user ids: logins and "
                    "erasures will miss sessions. Key events by user id, and set "
                    "partitioner=murmur2_random in producers built on librdkafka."
                )


class _Owning:
    """A partition's task, and how to ask it to end."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, worker: SessionWorker, consumer: AIOKafkaConsumer) -> None:
        self._worker = worker
        self._consumer = consumer

    async def on_partitions_revoked(self, _revoked: set[TopicPartition]) -> None:
        await self._worker.release()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._worker.own(self._consumer, assigned)


async def _equal_partitions(place: Place) -> int:
    """How many partitions events, handovers, erasures and sessions have."""
    topics = place.topics
    counts = await partition_counts(
        place.bootstrap_servers,
        (topics.events, topics.handovers, topics.erasures, topics.sessions),
    )
    if len(set(counts.values())) > 1 or 0 in counts.values():
        said = ", ".join(f"{topic.name}: {count}" for topic, count in counts.items())
        raise TopicsDifferError(
            f"These topics need equally many partitions ({said}). `endcap topics create` makes "
            "those that are missing as many as the events have."
        )
    return counts[topics.events]


async def _resume(consumer: AIOKafkaConsumer, tp: TopicPartition, start: Start) -> None:
    """Read on from the commit. It is looked up after the fence: nobody moves it any more."""
    committed = await consumer.committed(tp)
    if committed is None and start.since_ms is not None:
        # By the records' timestamps; none as late as that: from the end on.
        found = (await consumer.offsets_for_times({tp: start.since_ms}))[tp]
        committed = found.offset if found else (await consumer.end_offsets([tp]))[tp]
    elif committed is None:
        look_up = consumer.end_offsets if start.at_end else consumer.beginning_offsets
        committed = (await look_up([tp]))[tp]
    # What was fetched since the assignment is thrown away by a seek, even to where it stands.
    if await consumer.position(tp) != committed:
        consumer.seek(tp, committed)


async def _pause(released: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(released.wait(), seconds)
