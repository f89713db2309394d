"""The session worker: events in, sessions out, each event folded once.

A snapshot carries the offset of the last event it holds. After a crash the worker reads its
compacted partition back and skips what the snapshots hold already, so that reading events again
from the last commit changes nothing (docs/decisions/0003).
"""

import asyncio
import logging
import time
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from endcap.errors import InvalidEventError
from endcap.events import parse_event
from endcap.sessions import Session, act_of
from endcap.streams import metrics
from endcap.streams.clients import started_consumer, started_producer
from endcap.streams.item_deltas import ItemDelta, encode_deltas, item_delta
from endcap.timeline import (
    DEFAULT_LATENESS_MS,
    Outcome,
    Snapshot,
    Timeline,
    decode_snapshot,
    encode_snapshot,
    place,
)
from endcap.topics import Topics

log = logging.getLogger(__name__)

MAX_BATCH = 2000
SESSION_TIMEOUT_MS = 10_000


class _Held(NamedTuple):
    """A shopper in memory: what was last written, and its session, already folded."""

    snapshot: Snapshot
    session: Session


class SessionWorker:
    """One member of the consumer group. `run()` returns after `stop()`."""

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Topics,
        group_id: str = "endcap-stream",
        instance_id: str | None = None,
        lateness_ms: int = DEFAULT_LATENESS_MS,
    ) -> None:
        self._bootstrap = bootstrap_servers
        self._topics = topics
        self._group_id = group_id
        self._instance_id = instance_id
        self._lateness_ms = lateness_ms
        self._held: dict[int, dict[str, _Held]] = {}
        self._busy = asyncio.Lock()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the batch in hand, then return from `run()`."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped.

        Raises:
            BrokerUnavailableError: no broker answers at the start.
        """
        producer = await started_producer(self._bootstrap)
        consumer = await started_consumer(
            self._bootstrap,
            group_id=self._group_id,
            group_instance_id=self._instance_id,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
            max_poll_interval_ms=300_000,
        )
        consumer.subscribe([self._topics.events.name], listener=_Assignment(self))
        try:
            while not self._stopping.is_set():
                await self._one_batch(consumer, producer)
        finally:
            await consumer.stop()
            await producer.stop()

    async def _one_batch(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        """Read, fold, write, commit, in this order.

        1. Read what is waiting.
        2. Fold it; a record at or below its snapshot's offset is skipped.
        3. Write snapshots, item deltas and dead letters; wait until the broker has them all.
        4. Only then keep the new sessions and commit the offsets.
        """
        waiting = await consumer.getmany(timeout_ms=200, max_records=MAX_BATCH)
        if not waiting:
            return
        started = time.perf_counter()
        async with self._busy:
            owned = {tp: records for tp, records in waiting.items() if tp.partition in self._held}
            # aiokafka fetches while on_partitions_assigned still restores: such records are read
            # again once their sessions are back, never dropped.
            _read_again(consumer, {tp: rows for tp, rows in waiting.items() if tp not in owned})
            if not owned:
                return
            try:
                folded = await self._fold_and_write(owned, producer)
                await consumer.commit({tp: rows[-1].offset + 1 for tp, rows in owned.items()})
            except (CommitFailedError, IllegalStateError):
                # The group has moved on: the partition's new owner starts from our last commit.
                log.warning("partitions were reassigned during a batch; their state is dropped")
                for tp in owned:
                    self._held.pop(tp.partition, None)
                return
            except KafkaError:
                log.exception("Kafka failed during a batch; it is read again from the last commit")
                metrics.RETRIES.inc()
                _read_again(consumer, owned)
                await asyncio.sleep(1.0)
                return
            for partition, snapshots in folded.items():
                self._held[partition].update(snapshots)
        metrics.FOLD_SECONDS.observe(time.perf_counter() - started)
        metrics.SESSIONS.set(sum(map(len, self._held.values())))

    async def _fold_and_write(
        self, waiting: dict[TopicPartition, list[Any]], producer: AIOKafkaProducer
    ) -> dict[int, dict[str, _Held]]:
        acknowledged = []
        folded: dict[int, dict[str, _Held]] = {}
        now_ms = int(time.time() * 1000)
        for tp, records in waiting.items():
            metrics.BATCH.observe(len(records))
            fresh: dict[str, _Held] = folded.setdefault(tp.partition, {})
            deltas: list[ItemDelta] = []
            for record in records:
                try:
                    event = parse_event(record.value, now_ms)
                except InvalidEventError as error:
                    acknowledged.append(await self._dead_letter(record, error, producer))
                    continue
                held = fresh.get(event.user_id) or self._held[tp.partition].get(event.user_id)
                if held is not None and record.offset <= held.snapshot.source_offset:
                    metrics.EVENTS.labels("already_folded").inc()
                    continue
                timeline = held.snapshot.timeline if held else Timeline(Session(event.user_id))
                timeline, session, outcome = place(
                    timeline,
                    held.session if held else timeline.session_before,
                    act_of(event),
                    record.timestamp,
                    self._lateness_ms,
                )
                if outcome is Outcome.DUPLICATE:
                    metrics.EVENTS.labels("duplicate").inc()
                    continue
                if outcome is Outcome.LATE:
                    late = InvalidEventError(
                        "late",
                        f"timestamp_ms lies more than {self._lateness_ms // 1000} s behind the "
                        "shopper's newest event. Raise ENDCAP_LATENESS_S, or send it sooner.",
                    )
                    acknowledged.append(await self._dead_letter(record, late, producer))
                    continue
                snapshot = Snapshot(timeline, tp.partition, record.offset, record.timestamp)
                fresh[event.user_id] = _Held(snapshot, session)
                metrics.EVENTS.labels("folded").inc()
                delta = item_delta(event, tp.partition, record.offset)
                if delta is not None:
                    deltas.append(delta)
            metrics.EVENT_AGE.observe(max(0.0, now_ms - records[-1].timestamp) / 1000)
            for user_id, kept in fresh.items():
                acknowledged.append(
                    await producer.send(
                        self._topics.sessions.name,
                        encode_snapshot(kept.snapshot),
                        key=user_id.encode(),
                        partition=tp.partition,
                    )
                )
            metrics.SNAPSHOTS.inc(len(fresh))
            for batch in encode_deltas(deltas):
                acknowledged.append(await producer.send(self._topics.item_deltas.name, batch))
        await asyncio.gather(*acknowledged)
        return folded

    async def _dead_letter(
        self, record: Any, error: InvalidEventError, producer: AIOKafkaProducer
    ) -> Any:
        """The record as it came, with the reason in headers named after KIP-1034."""
        metrics.EVENTS.labels("dead_letter").inc()
        metrics.DEAD_LETTERS.labels(error.reason).inc()
        headers = {
            "exception": error.reason,
            "message": str(error),
            "topic": record.topic,
            "partition": str(record.partition),
            "offset": str(record.offset),
        }
        return await producer.send(
            self._topics.dead_letters.name,
            record.value,
            key=record.key,
            headers=[(f"__streams.errors.{k}", v.encode()) for k, v in headers.items()],
        )

    async def restore(self, partitions: list[int]) -> None:
        """Read the compacted partitions back, whole, before any event of theirs is folded."""
        async with self._busy:
            self._held.update(await self._read_back(partitions))
        metrics.RESTORED.inc(sum(len(self._held[p]) for p in partitions))

    async def _read_back(self, partitions: list[int]) -> dict[int, dict[str, _Held]]:
        sources = [TopicPartition(self._topics.sessions.name, p) for p in partitions]
        held: dict[int, dict[str, _Held]] = {p: {} for p in partitions}
        reader = await started_consumer(self._bootstrap)
        try:
            reader.assign(sources)
            ends = await reader.end_offsets(sources)
            await reader.seek_to_beginning(*sources)
            open_ends = {tp for tp in sources if ends[tp] > 0}
            while open_ends:
                for tp, records in (await reader.getmany(timeout_ms=500)).items():
                    for record in records:
                        _apply(held[tp.partition], record.key.decode(), record.value)
                open_ends = {tp for tp in open_ends if await reader.position(tp) < ends[tp]}
        finally:
            await reader.stop()
        return held

    async def release(self, partitions: list[int]) -> None:
        """Let the batch in hand end, then forget the partitions."""
        async with self._busy:
            for partition in partitions:
                self._held.pop(partition, None)


def _read_again(consumer: AIOKafkaConsumer, batches: dict[TopicPartition, list[Any]]) -> None:
    assigned = consumer.assignment()
    for tp, records in batches.items():
        if tp in assigned:
            consumer.seek(tp, records[0].offset)


def _apply(held: dict[str, _Held], user_id: str, value: bytes | None) -> None:
    if value is None:
        held.pop(user_id, None)  # erased
    else:
        snapshot = decode_snapshot(value)
        held[user_id] = _Held(snapshot, snapshot.session)


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, worker: SessionWorker) -> None:
        self._worker = worker

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._worker.release([tp.partition for tp in revoked])

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self._worker.restore([tp.partition for tp in assigned])
