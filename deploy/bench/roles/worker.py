"""The session worker, and the ways of writing that it could have taken instead."""

import asyncio
import json
import sys
import time
from typing import Any

from aiokafka import TopicPartition

from endcap.deploy.bench.roles.clock import Clock, assigned_consumer
from endcap.deploy.processes import settle_garbage_collection
from endcap.streams import metrics
from endcap.streams.clients import started_producer
from endcap.streams.folded_batch import FoldedBatch, Partition
from endcap.streams.owned_partition import OwnedPartition, Place
from endcap.streams.session_batch import fold_batch
from endcap.streams.session_store import MemorySessions
from endcap.streams.session_worker import MAX_BATCH, SessionWorker
from endcap.timeline import DEFAULT_LATENESS_MS
from endcap.topics import Topic, topics_with_prefix


async def work(way: str, bootstrap: str, topic: str, group: str, events: int) -> dict[str, float]:
    """Fold every event of the topic by one way: `transactions`, `unfenced` or `fold_only`."""
    topics = topics_with_prefix(group)._replace(events=Topic(topic, compacted=False))
    place = Place(bootstrap, topics, group, DEFAULT_LATENESS_MS)
    settle_garbage_collection()
    return await {"transactions": _worker, "unfenced": _unfenced, "fold_only": _fold_only}[way](
        place, events
    )


async def _worker(place: Place, events: int) -> dict[str, float]:
    worker = _TimedWorker(place, events)
    await worker.run()
    return worker.found | {
        "snapshots": _total(metrics.SNAPSHOTS),
        "native_events": _total(metrics.NATIVE_EVENTS),
    }


class _TimedWorker(SessionWorker):
    """Stops when it has handled `events`."""

    def __init__(self, place: Place, events: int) -> None:
        super().__init__(place)
        self._left = events
        self._events = events
        self.found: dict[str, float] = {}

    def own(self, consumer: Any, assigned: set[TopicPartition]) -> None:
        self._clock = Clock()
        super().own(consumer, assigned)

    def handled(self, batch: FoldedBatch) -> None:
        super().handled(batch)
        self._left -= batch.outcomes.total()
        if self._left == 0:
            self.found = self._clock.stop(self._events)
            self.stop()


async def _unfenced(place: Place, events: int) -> dict[str, float]:
    """An idempotent producer; offsets committed to the group behind the acknowledgements."""
    consumer = await assigned_consumer(
        place.bootstrap_servers, place.topics.events.name, place.group_id
    )
    producer: Any = _NoTransactions(await started_producer(place.bootstrap_servers), consumer)
    owned = {
        tp: OwnedPartition(place, Partition(tp.partition), MemorySessions(), producer)
        for tp in consumer.assignment()
    }
    clock, done = Clock(), 0
    while done < events:
        for tp, records in (await consumer.getmany(timeout_ms=200, max_records=MAX_BATCH)).items():
            await owned[tp].fold({tp: records})
            done += len(records)
    found = clock.stop(done)
    await producer.stop()
    await consumer.stop()
    return found


class _NoTransactions:
    """An idempotent producer behind the calls of a transactional one."""

    def __init__(self, producer: Any, consumer: Any) -> None:
        self.create_batch = producer.create_batch
        self.send_batch = producer.send_batch
        self.partitions_for = producer.partitions_for
        self.stop = producer.stop
        self._consumer = consumer

    async def begin_transaction(self) -> None:
        """There is none."""

    async def send_offsets_to_transaction(
        self, offsets: dict[TopicPartition, int], _group: str
    ) -> None:
        """To the group, at once."""
        await self._consumer.commit(offsets)

    async def commit_transaction(self) -> None:
        """There is none."""


async def _fold_only(place: Place, events: int) -> dict[str, float]:
    """Read, fold and encode; write nothing."""
    consumer = await assigned_consumer(
        place.bootstrap_servers, place.topics.events.name, place.group_id
    )
    sessions: dict[int, dict[str, bytes]] = {tp.partition: {} for tp in consumer.assignment()}
    clock, done = Clock(), 0
    while done < events:
        for tp, records in (await consumer.getmany(timeout_ms=200, max_records=MAX_BATCH)).items():
            known = sessions[tp.partition]
            batch = fold_batch(records, Partition(tp.partition), known.get, int(time.time() * 1000))
            for user_id, snapshot in batch.snapshots.items():
                if snapshot is not None:  # nobody is erased here
                    known[user_id] = snapshot
            done += len(records)
    found = clock.stop(done)
    await consumer.stop()
    return found


def _total(counter: Any) -> float:
    return float(next(s.value for s in counter.collect()[0].samples if s.name.endswith("_total")))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(work(**json.loads(sys.argv[1])))))
