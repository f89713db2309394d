"""Records handed to a producer in whole batches, for a partition that is chosen already."""

from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaProducer

KafkaRecord = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]
"""Key, value, headers."""


async def send_batches(
    producer: AIOKafkaProducer, topic: str, partition: int, records: Iterable[KafkaRecord]
) -> list[tuple[Any, int]]:
    """Hand over in as few batches as fit a request: (acknowledgement, records) of each."""
    sent = []
    builder, count = producer.create_batch(), 0
    for key, value, headers in records:
        if builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            sent.append((await producer.send_batch(builder, topic, partition=partition), count))
            builder, count = producer.create_batch(), 0
            builder.append(timestamp=None, key=key, value=value, headers=headers)
        count += 1
    if count:
        sent.append((await producer.send_batch(builder, topic, partition=partition), count))
    return sent
