"""Events into their topic, keyed by user."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from aiokafka.errors import KafkaError

from endcap.errors import BrokerUnavailableError
from endcap.events import Event, encode_event

ACKNOWLEDGE_S = 10.0


class EventProducer:
    """Implements the HTTP server's event sink over a started Kafka producer."""

    def __init__(self, producer: Any, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def send(self, event: Event) -> None:
        """Returns when the broker has the event.

        Raises:
            BrokerUnavailableError: it did not acknowledge within ten seconds.
        """
        try:
            await asyncio.wait_for(await self.enqueue(event), ACKNOWLEDGE_S)
        except (TimeoutError, KafkaError) as error:
            raise BrokerUnavailableError(
                f"Kafka did not acknowledge the event within {ACKNOWLEDGE_S:.0f} s; send it again "
                "with the same event_id."
            ) from error

    async def enqueue(self, event: Event) -> Awaitable[Any]:
        """Hand the event to the producer; the awaitable ends with the acknowledgement."""
        future: Awaitable[Any] = await self._producer.send(
            self._topic, encode_event(event), key=event.user_id.encode()
        )
        return future
