"""Events into their topic, keyed by user; a login by its device, whose log decides its place."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from aiokafka.errors import KafkaError

from endcap.errors import BrokerUnavailableError
from endcap.events import Event, encode_event, home_of
from endcap.traces import CURRENT

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
            raise not_acknowledged("event", "event_id", self._acknowledge_s) from error

    async def send_all(self, events: Sequence[Event]) -> None:
        """Returns when the broker has all of them; see `send`. They go out together.

        Raises:
            BrokerUnavailableError: it did not acknowledge all in time.
        """
        try:
            async with asyncio.timeout(self._acknowledge_s):
                handed_over = [await self.enqueue(event) for event in events]
                await asyncio.gather(*handed_over)
        except (TimeoutError, KafkaError) as error:
            raise not_acknowledged("events", "event_id", self._acknowledge_s) from error

    async def enqueue(self, event: Event) -> Awaitable[Any]:
        """Hand the event to the producer; the awaitable ends with the acknowledgement."""
        headers = None if CURRENT.traces is None else CURRENT.traces.headers()
        future: Awaitable[Any] = await self._producer.send(
            self._topic, encode_event(event), key=home_of(event).encode(), headers=headers
        )
        return future


def not_acknowledged(what: str, field: str, within_s: float) -> BrokerUnavailableError:
    """The one message for records of which nobody knows whether the broker has them."""
    return BrokerUnavailableError(
        f"Kafka did not acknowledge the {what} within {within_s:.0f} s; send the same again, with "
        f"the same {field}."
    )
