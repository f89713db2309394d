"""A producer for a process that has other things to do while no broker answers."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from prometheus_client import Gauge

from endcap.errors import BrokerUnavailableError
from endcap.streams.clients import started_producer, stop_producer

log = logging.getLogger(__name__)

UNACKNOWLEDGED = Gauge(
    "endcap_producer_records_unacknowledged", "Records handed over that the broker has not answered"
)
MAX_UNACKNOWLEDGED = 20_000
"""About a second of a busy shop. While the broker is away each waits for its time to run out."""
_FIRST_RETRY_S, _LAST_RETRY_S = 0.5, 3.0


class LateProducer:
    """It is there when a broker is, and refuses records until then, and beyond a bound."""

    def __init__(self, bootstrap_servers: str, most: int = MAX_UNACKNOWLEDGED) -> None:
        self._bootstrap = bootstrap_servers
        self._most = most
        self._producer: AIOKafkaProducer | None = None
        self._starting: asyncio.Task[None] | None = None
        self._waiting = 0

    async def start(self) -> None:
        """Start it; where no broker answers, go on trying in the background."""
        try:
            self._producer = await started_producer(self._bootstrap)
        except BrokerUnavailableError as error:
            log.warning("%s It is tried again; until then events are refused.", error)
            self._starting = asyncio.create_task(self._until_started())

    async def send(
        self,
        topic: str,
        value: bytes,
        key: bytes,
        headers: Sequence[tuple[str, bytes]] | None = None,
    ) -> "asyncio.Future[Any]":
        """Hand a record over; the future ends with the acknowledgement.

        Raises:
            BrokerUnavailableError: there is no broker yet, or too many records wait for it.
        """
        if self._producer is None:
            raise BrokerUnavailableError(f"No Kafka broker has answered yet at {self._bootstrap}.")
        if self._waiting >= self._most:
            raise BrokerUnavailableError(
                f"{self._most} records wait for Kafka at {self._bootstrap} already."
            )
        self._count(1)
        try:
            future: asyncio.Future[Any] = await self._producer.send(
                topic, value, key=key, headers=headers
            )
        except BaseException:
            self._count(-1)
            raise
        future.add_done_callback(lambda _: self._count(-1))
        return future

    async def stop(self) -> None:
        """Flush and stop."""
        if self._starting is not None:
            self._starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._starting
        if self._producer is not None:
            await stop_producer(self._producer)

    def _count(self, change: int) -> None:
        self._waiting += change
        UNACKNOWLEDGED.set(self._waiting)

    async def _until_started(self) -> None:
        retry_s = _FIRST_RETRY_S
        while self._producer is None:
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, _LAST_RETRY_S)
            with contextlib.suppress(BrokerUnavailableError):
                self._producer = await started_producer(self._bootstrap)
        log.warning("A Kafka broker answers at %s: events are taken in.", self._bootstrap)
