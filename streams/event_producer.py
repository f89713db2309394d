"""Events into their topic, keyed by user; a login by its device, whose log decides its place."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from aiokafka.errors import KafkaError

from endcap.errors import BrokerUnavailableError
from endcap.events import Event, encode_event, home_of

ACKNOWLEDGE_S = 10.0


class EventProducer:
    """Implements the HTTP server's event sink over a started Kafka producer."""

    def __init__(self, producer: Any, topic: str, acknowledge_s: float = ACKNOWLEDGE_S) -> None:
        self._producer = producer
        self._topic = topic
        self._acknowledge_s = acknowledge_s

    async def send(self, event: Event) -> None:
        """Returns when the broker has the event.

        Raises:
            BrokerUnavailableError: it did not acknowledge in time.
        """
        try:
            # Handing over waits as well: for metadata while the broker is away.
            async with asyncio.timeout(self._acknowledge_s):
                await (await self.enqueue(event))
        except (TimeoutError, KafkaError) as error:
            raise BrokerUnavailableError(
                f"Kafka did not acknowledge the event within {self._acknowledge_s:.0f} s; send it "
                "again with the same event_id."
            ) from error

    async def enqueue(self, event: Event) -> Awaitable[Any]:
        """Hand the event to the producer; the awaitable ends with the acknowledgement."""
        future: Awaitable[Any] = await self._producer.send(
            self._topic, encode_event(event), key=home_of(event).encode()
        )
        return future
