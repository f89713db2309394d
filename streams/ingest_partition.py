"""One partition of a source, and the right to turn its records into events.

Ownership is a transactional id, as that of a session's partition (docs/decisions/0007): events,
dead letters and the offset of the source go out in one transaction.
"""

import time
from collections.abc import Sequence
from typing import Any, Self

from aiokafka import AIOKafkaProducer, TopicPartition

from endcap.streams.clients import (
    started_transactional_producer,
    stop_producer,
    told_when_fenced,
)
from endcap.streams.dead_letters import letter_record
from endcap.streams.ingest_batch import IngestedBatch, Source, ingest_batch
from endcap.streams.record_batches import send_batches
from endcap.topics import Topics


class IngestPartition:
    """A partition whose records only this process can send, until it is fenced."""

    def __init__(
        self,
        source: Source,
        place: TopicPartition,
        topics: Topics,
        group_id: str,
        producer: AIOKafkaProducer,
    ) -> None:
        self._source = source
        self._place = place
        self._topics = topics
        self._group_id = group_id
        self._producer = producer

    @classmethod
    async def acquire(
        cls,
        bootstrap_servers: str,
        source: Source,
        place: TopicPartition,
        topics: Topics,
        group_id: str,
    ) -> Self:
        """Take the partition over: an older owner is fenced, what it had begun is aborted.

        Raises:
            BrokerUnavailableError: no broker answers.
        """
        producer = await started_transactional_producer(
            bootstrap_servers, f"{group_id}-{place.topic}-{place.partition}"
        )
        return cls(source, place, topics, group_id, producer)

    async def release(self) -> None:
        """Give the producer back."""
        await stop_producer(self._producer)

    async def ingest(self, records: Sequence[Any]) -> IngestedBatch:
        """Send what these records become, all in one transaction.

        1. Decode and adapt. Nothing is open yet: a registry may take its time.
        2. Write events and dead letters.
        3. Commit the offset behind the last record in the same transaction.

        Raises:
            ProducerFenced: another process owns the partition. Nothing of the batch counts.
            RegistryUnavailableError: nothing was written.
            KafkaError: nothing of the batch is known to count; acquire the partition anew.
        """
        events, letters = self._topics.events.name, self._topics.dead_letters.name
        partitions = len(await self._producer.partitions_for(events))
        batch = await ingest_batch(self._source, records, int(time.time() * 1000), partitions)
        await self._producer.begin_transaction()
        with told_when_fenced():
            sent = []
            for partition, rows in batch.events.items():
                sent += await send_batches(self._producer, events, partition, rows)
            if batch.dead_letters:
                among = await self._producer.partitions_for(letters)
                rows = [letter_record(letter.record, letter.error) for letter in batch.dead_letters]
                sent += await send_batches(
                    self._producer, letters, self._place.partition % len(among), rows
                )
            for acknowledged, _ in sent:
                await acknowledged
            await self._producer.send_offsets_to_transaction(
                {self._place: records[-1].offset + 1}, self._group_id
            )
        await self._producer.commit_transaction()
        return batch
