"""One partition of the events, and the right to write its sessions.

Ownership is a transactional id, one a partition: who initialises it fences whoever had it before,
however long that one slept (docs/decisions/0007). Snapshots, item deltas, dead letters and the
offset of the events go out in one transaction, so that a record has all of its effects, once, or
none.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self
from uuid import uuid4

from aiokafka import AIOKafkaProducer, TopicPartition

from endcap.erasure import Registry
from endcap.identity import encode_parcel, recipient
from endcap.streams import metrics, native
from endcap.streams.clients import (
    started_transactional_producer,
    stop_producer,
    told_when_fenced,
)
from endcap.streams.dead_letters import letter_record
from endcap.streams.folded_batch import FoldedBatch, Partition, merged
from endcap.streams.group_member import heartbeat_ms
from endcap.streams.read_back import read_back
from endcap.streams.record_batches import KafkaRecord, send_batches
from endcap.streams.session_batch import BatchFold
from endcap.streams.session_store import SessionStore
from endcap.streams.start import Start
from endcap.timeline import DEFAULT_LATENESS_MS, decode_snapshot, newest_ms_of
from endcap.topics import Topics
from endcap.traces import CURRENT

log = logging.getLogger(__name__)
Found = Mapping[TopicPartition, Sequence[Any]]

HOT_SESSIONS = 10_000
"""Snapshots kept a partition beside the store, at most twice as many: in two generations, of which
the older is dropped when the younger is full. The others are read when their shopper comes back."""
_ROUND_S = 600.0
"""A walk through all shoppers of the partition, for those who were not seen for long, takes about
so long; so many rows at least, and at most, are looked at together."""
_FEWEST_ROWS, _MOST_ROWS = 32, 4096


class Place(NamedTuple):
    """Where a worker works, and what it allows: lateness of events, silence of a worker, absence
    of a shopper (0: for ever; looked for each `walk_every_s` at least). `natively`: by the
    compiled path, where it was built."""

    bootstrap_servers: str
    topics: Topics
    group_id: str
    lateness_ms: int = DEFAULT_LATENESS_MS
    session_timeout_ms: int = 10_000
    start: Start = Start()
    erasure_secret: str = ""
    forget_after_ms: int = 0
    natively: bool = native.IS_BUILT
    client_id: str = "endcap"
    """Members of two groups that are named alike get partitions of the same numbers."""
    walk_every_s: float = 10.0

    @property
    def heartbeat_ms(self) -> int:
        """See `heartbeat_ms` of group members."""
        return heartbeat_ms(self.session_timeout_ms)


class _Ahead(NamedTuple):
    batch: FoldedBatch
    opened: list[bytes]
    offsets: dict[TopicPartition, int]


class OwnedPartition:
    """A partition whose sessions only this process can write, until it is fenced."""

    def __init__(
        self, place: Place, partition: Partition, store: SessionStore, producer: AIOKafkaProducer
    ) -> None:
        self.partition = partition.number
        self._partition = partition
        self._registry = Registry(place.erasure_secret)
        self._place = place
        self._store = store
        self._producer = producer
        self._newest_ms = 0
        self._ahead: list[_Ahead] = []
        self._records_ahead = 0
        self._walked_at = time.monotonic()
        self._on_top: dict[str, bytes | None] = {}
        """What is folded ahead of its commit, and what is being committed."""
        self._hot: dict[str, bytes] = {}
        self._cooling: dict[str, bytes] = {}

    @classmethod
    async def acquire(cls, place: Place, partition: Partition, store: SessionStore) -> Self:
        """Take the partition over.

        1. Initialise the transactional id: an older owner is fenced, what it had begun is aborted.
        2. Only then read the sessions topic on from where the store ends: nobody adds to it now.

        Raises:
            BrokerUnavailableError: no broker answers.
            KafkaError: the topic could not be read to its end.
        """
        producer = await started_transactional_producer(
            place.bootstrap_servers, f"{place.group_id}-{partition.number}"
        )
        owned = cls(place, partition, store, producer)
        try:
            await read_back(
                place.bootstrap_servers, place.topics, partition.number, store, owned._registry
            )
        except BaseException:
            await owned.release()
            raise
        metrics.ACQUIRED.inc()
        return owned

    async def release(self) -> None:
        """Give the producer back; the store stays as it is."""
        await stop_producer(self._producer)

    @property
    def records_ahead(self) -> int:
        """How many records are folded and not yet committed."""
        return self._records_ahead

    async def fold(self, found: Found) -> FoldedBatch:
        """Fold what was read of the partition's topics; write and commit, all in one transaction.

        Raises: as `commit` does.
        """
        batch = self.fold_ahead(found)
        await self.commit()
        return batch

    def fold_ahead(self, found: Found) -> FoldedBatch:
        """Fold on top of what is folded already; a record at or below its snapshot's offset is
        skipped. Nothing of it holds before `commit`."""
        topics = self._place.topics
        by_topic = {source.topic: records for source, records in found.items()}
        parcels = by_topic.get(topics.handovers.name, ())
        fold = BatchFold(
            self._partition,
            self._look_up,
            int(time.time() * 1000),
            self._place.lateness_ms,
            self._registry,
            self._place.natively,
        )
        fold.erase(by_topic.get(topics.erasures.name, ()))
        fold.open(parcels)
        fold.fold(by_topic.get(topics.events.name, ()))
        fold.expire(self._idle())
        batch = fold.result()
        opened = [record.key for record in parcels if record.value]
        offsets = {source: records[-1].offset + 1 for source, records in found.items()}
        self._ahead.append(_Ahead(batch, opened, offsets))
        self._on_top |= batch.snapshots
        self._records_ahead += sum(map(len, found.values()))
        for entry in batch.erased:
            self._registry.add(entry)
        return batch

    async def commit(self) -> FoldedBatch:
        """Write and commit all that is folded ahead, in one transaction; returns it as one batch.

        1. Write snapshots, item deltas, dead letters and what goes to other partitions.
        2. Commit the offsets behind the last records in the same transaction.
        3. Only then keep the new sessions.

        Raises:
            ProducerFenced: another process owns the partition. Nothing of them counts.
            KafkaError: nothing of them is known to count; acquire the partition anew.
        """
        ahead, self._ahead, self._records_ahead = self._ahead, [], 0
        batch = merged([each.batch for each in ahead])
        await self._producer.begin_transaction()
        offsets: dict[TopicPartition, int] = {}
        for each in ahead:
            offsets |= each.offsets
        with told_when_fenced():
            written = await self._write(batch)
            await self._send_across(batch, [key for each in ahead for key in each.opened])
            await self._producer.send_offsets_to_transaction(offsets, self._place.group_id)
        await self._producer.commit_transaction()
        self._store.put(batch.snapshots, max([self._store.position, *written]))
        self._keep(batch)
        return batch

    async def _write(self, batch: FoldedBatch) -> list[int]:
        """Returns the offsets behind each batch of snapshots."""
        topics, sent = self._place.topics, []
        snapshots = await send_batches(
            self._producer,
            topics.sessions.name,
            self.partition,
            _records_of(batch.snapshots),
        )
        sent.extend(snapshots)
        sent.extend(
            await send_batches(
                self._producer,
                topics.item_deltas.name,
                0,
                ((None, raw, []) for raw in batch.deltas),
            )
        )
        if batch.dead_letters:
            among = await self._producer.partitions_for(topics.dead_letters.name)
            sent.extend(
                await send_batches(
                    self._producer,
                    topics.dead_letters.name,
                    self.partition % len(among),
                    (letter_record(letter.record, letter.error) for letter in batch.dead_letters),
                )
            )
        written = await _all_of([acknowledged for acknowledged, _ in sent])
        counts = (count for _, count in snapshots)
        return [at.offset + count for at, count in zip(written, counts, strict=False)]

    async def _send_across(self, batch: FoldedBatch, opened: Sequence[bytes]) -> None:
        """Parcels and erasures to the partitions of their ids; an opened parcel's key is ended."""
        topics = self._place.topics
        sent = [
            await self._producer.send(
                topics.handovers.name,
                encode_parcel(parcel),
                # Its own for each: compaction must not take one for another.
                uuid4().bytes,
                partition=self._partition.of(recipient(parcel)),
            )
            for parcel in batch.parcels
        ]
        sent += [
            await self._producer.send(topics.handovers.name, None, key, partition=self.partition)
            for key in opened
        ]
        sent += [
            await self._producer.send(topics.erasures.name, value, key, partition=partition)
            for partition, key, value in batch.erasures
        ]
        await _all_of(sent)

    def _look_up(self, user_id: str) -> bytes | None:
        if user_id in self._on_top:
            return self._on_top[user_id]
        return self._hot.get(user_id) or self._cooling.get(user_id) or self._store.get(user_id)

    def _idle(self) -> list[str]:
        """Who of the next shoppers on the walk through the store was not seen for too long.

        By event time, of the newest event that this process folded: in a quiet shop nobody ages.
        """
        horizon_ms = self._newest_ms - self._place.forget_after_ms
        if not self._place.forget_after_ms or horizon_ms < 0:
            return []
        now_s = time.monotonic()
        since_s = now_s - self._walked_at
        due = int(len(self._store) * since_s / _ROUND_S)
        if due < _FEWEST_ROWS and since_s < self._place.walk_every_s:
            return []
        self._walked_at = now_s
        walked = max(_FEWEST_ROWS, min(due, _MOST_ROWS))
        old = (
            decode_snapshot(raw).session.user_id
            for raw in self._store.next_rows(walked)
            if newest_ms_of(raw) < horizon_ms
        )
        newest = ((user_id, self._look_up(user_id)) for user_id in old)
        return [
            user
            for user, raw in newest
            if raw and decode_snapshot(raw).session.updated_ms < horizon_ms
        ]

    def _keep(self, batch: FoldedBatch) -> None:
        for user_id, raw in batch.snapshots.items():
            if self._on_top.get(user_id) is raw:  # nothing was folded on top meanwhile
                del self._on_top[user_id]
            if raw is None:
                self._hot.pop(user_id, None)
                self._cooling.pop(user_id, None)
            else:
                self._hot[user_id] = raw
        self._newest_ms = max(self._newest_ms, batch.newest_ms)
        if len(self._hot) > HOT_SESSIONS:
            self._hot, self._cooling = {}, self._hot


def _records_of(snapshots: Mapping[str, bytes | None]) -> Iterable[KafkaRecord]:
    traces = CURRENT.traces
    if traces is None:
        return ((user_id.encode(), raw, []) for user_id, raw in snapshots.items())
    return (
        (user_id.encode(), raw, traces.headers_of(user_id)) for user_id, raw in snapshots.items()
    )


async def _all_of(acknowledged: Sequence[asyncio.Future[Any]]) -> list[Any]:
    """What the broker says to all of them; the first failure once all have ended, so that no other
    is left without a reader."""
    if acknowledged:
        await asyncio.wait(acknowledged)
    failures = [each.exception() for each in acknowledged]
    for failure in failures:
        if failure is not None:
            raise failure
    return [each.result() for each in acknowledged]
