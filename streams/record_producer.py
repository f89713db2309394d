"""Records that are made already, into a topic; the answer comes when the broker has them."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka.errors import KafkaError

from endcap.streams.event_producer import not_acknowledged


class RecordProducer:
    """Implements the HTTP server's record sink over a started Kafka producer. `id_field`: what a
    repeat is known by."""

    def __init__(self, producer: Any, topic: str, id_field: str, acknowledge_s: float) -> None:
        self._producer = producer
        self._topic = topic
        self._id_field = id_field
        self._acknowledge_s = acknowledge_s

    async def send_all(self, records: Sequence[tuple[str, bytes]]) -> None:
        """Keys and values; returns when the broker has all of them.

        Raises:
            BrokerUnavailableError: it did not acknowledge all in time.
        """
        try:
            async with asyncio.timeout(self._acknowledge_s):
                handed_over = [
                    await self._producer.send(self._topic, value, key=key.encode())
                    for key, value in records
                ]
                await asyncio.gather(*handed_over)
        except (TimeoutError, KafkaError) as error:
            raise not_acknowledged("records", self._id_field, self._acknowledge_s) from error
