"""The session worker: events in, sessions out, each event folded once.

The consumer group says whose a partition is; the partition's transactional id makes sure of it
(`owned_partition`). One task a partition reads, folds, writes and commits by itself.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from endcap.errors import TopicsDifferError
from endcap.events import EventType
from endcap.streams import metrics, native
from endcap.streams.clients import partition_counts
from endcap.streams.commits_behind import CommitsBehind
from endcap.streams.fetch_pace import AT_ONCE_MS, FetchPace
from endcap.streams.folded_batch import FoldedBatch, Partition, is_repeatable
from endcap.streams.group_member import GroupMember
from endcap.streams.lag import Lag
from endcap.streams.owned_partition import OwnedPartition, Place
from endcap.streams.partition_tasks import PartitionTask
from endcap.streams.session_store import SessionStore, memory_store
from endcap.streams.start import Start, resume
from endcap.traces import CURRENT

log = logging.getLogger(__name__)

MAX_BATCH = 25_000
_POLL_MS = 200
_NAMES = {kind.code: kind.value for kind in EventType}


class FastLane(NamedTuple):
    """`hand_over` gets sessions as they are folded; None: one has ended, and that is committed.

    What is behind it does not wait for the commits, so they need not hurry: each costs the
    broker and this process some milliseconds, whatever it holds. Trending lists hear of events by
    so much later, and so much is folded once more after a crash.
    """

    hand_over: Callable[[Mapping[str, bytes | None]], None]
    is_out: Callable[[], Awaitable[None]] | None = None
    """Waited for before each commit: what was handed over is where its readers find it before they
    can read the commit."""
    commit_every_s: float = 0.5


class SessionWorker(GroupMember):
    """One member of the consumer group. `run()` returns after `stop()`."""

    def __init__(
        self,
        place: Place,
        instance_id: str | None = None,
        open_store: Callable[[int], SessionStore] = memory_store,
        fast_lane: FastLane | None = None,
    ) -> None:
        """`fast_lane` hears of sessions before their commit."""
        super().__init__()
        self._fast_lane = fast_lane
        self._place = place
        self._instance_id = instance_id
        self._open_store = open_store
        self._stores: dict[int, SessionStore] = {}
        self._said_misplaced = False
        self._pace: FetchPace | None = None

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
        topics = self._place.topics
        try:
            await self.take_part(
                self._place.bootstrap_servers,
                [topics.events.name, topics.handovers.name, topics.erasures.name],
                group_id=self._place.group_id,
                client_id=self._place.client_id,
                group_instance_id=self._instance_id,
                session_timeout_ms=self._place.session_timeout_ms,
                heartbeat_interval_ms=self._place.heartbeat_ms,
                # While events wait unread, a request for the quiet topics alone holds up all
                # others.
                fetch_max_wait_ms=AT_ONCE_MS,
                # Partition n of each topic goes to the same worker: a shopper's records meet.
                partition_assignment_strategy=(RangePartitionAssignor,),
            )
        finally:
            for store in self._stores.values():
                store.close()

    def tasks_of(
        self, consumer: AIOKafkaConsumer, assigned: set[TopicPartition]
    ) -> list[PartitionTask]:
        """One for each number of a partition. Stores of others are of no use any more."""
        if self._fast_lane is not None and self._pace is None:
            self._pace = FetchPace(consumer)
        numbers = {tp.partition for tp in assigned}
        for number in self._stores.keys() - numbers:
            self._stores.pop(number).close()
        return [
            PartitionTask(
                f"partition {number}",
                self._place.heartbeat_ms,
                partial(self._hold, consumer, [tp for tp in assigned if tp.partition == number]),
            )
            for number in sorted(numbers)
        ]

    async def _hold(
        self, consumer: AIOKafkaConsumer, sources: list[TopicPartition], task: PartitionTask
    ) -> None:
        number = sources[0].partition
        if number not in self._stores:
            self._stores[number] = self._open_store(number)
        owned = await OwnedPartition.acquire(
            self._place, Partition(number, self._partitions), self._stores[number]
        )
        lane = self._fast_lane
        every_s, is_out = (lane.commit_every_s, lane.is_out) if lane else (0.0, None)
        commits = CommitsBehind(owned, every_s, self.handled, is_out)
        topics = self._place.topics
        roles = {
            topics.events.name: "events",
            topics.handovers.name: "handovers",
            topics.erasures.name: "erasures",
        }
        lag = Lag(metrics.LAG, roles, sources)
        try:
            for source in sources:
                is_events = source.topic == self._place.topics.events.name
                await resume(consumer, source, self._place.start if is_events else Start())
            while not task.released.is_set():
                commits.check()
                if await self._one_batch(consumer, sources, owned, commits):
                    task.progressed()
                await lag.look(consumer)
            await commits.all()
        finally:
            lag.forget()
            await commits.abandon()
            await owned.release()

    async def _one_batch(
        self,
        consumer: AIOKafkaConsumer,
        sources: list[TopicPartition],
        owned: OwnedPartition,
        commits: CommitsBehind,
    ) -> bool:
        """Read, fold, show; the commit follows behind, with what is folded until then.

        What cannot be folded again with the same result is committed before it is shown, and
        before anything is folded on top (docs/decisions/0021).
        """
        found = await consumer.getmany(*sources, timeout_ms=_POLL_MS, max_records=MAX_BATCH)
        count = sum(map(len, found.values()))
        if self._pace is not None:
            self._pace.read(count)
        if not found:
            return False
        now = time.time()
        batch = owned.fold_ahead(found)
        metrics.FOLD_SECONDS.observe(time.time() - now)
        metrics.BATCH.observe(count)
        oldest = min(records[-1].timestamp for records in found.values())
        metrics.EVENT_AGE.observe(max(0.0, now - oldest / 1000))
        events = [
            record
            for source, records in found.items()
            if source.topic == self._place.topics.events.name
            for record in records
        ]
        if CURRENT.traces is not None:
            CURRENT.traces.folded(events, int(now * 1e9))
        if is_repeatable(batch, events, int(now * 1000)):
            self._show(batch)
            commits.follow()
            if owned.records_ahead >= MAX_BATCH:
                await commits.all()
        else:
            await commits.all()
            self._show(batch)
        return True

    def _show(self, batch: FoldedBatch) -> None:
        if self._fast_lane is not None:
            self._fast_lane.hand_over(batch.snapshots)

    def handled(self, batch: FoldedBatch) -> None:
        """Count a batch that is committed."""
        for outcome, times in batch.outcomes.items():
            metrics.EVENTS.labels(outcome).inc(times)
        for code, times in batch.kinds.items():
            metrics.BY_TYPE.labels(_NAMES[code]).inc(times)
        for letter in batch.dead_letters:
            metrics.DEAD_LETTERS.labels(letter.error.reason).inc()
        for outcome, times in batch.opened.items():
            metrics.HANDOVERS.labels(outcome).inc(times)
        metrics.SNAPSHOTS.inc(len(batch.snapshots))
        metrics.SESSIONS.set(sum(map(len, self._stores.values())))
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
