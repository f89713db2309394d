"""aiokafka's clients, with waits that end and stops that stop.

All of it was found by cutting Kafka off for seconds (`endcap bench soak --only "cut Kafka"`) and by
connections with TLS.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

log = logging.getLogger(__name__)

STOP_S = 10.0
_MORE_S = 0.5
_LOOK_S = 0.25


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]
    """Reads return within their time-out, and stopping stops."""

    async def getmany(
        self, *partitions: Any, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[Any, list[Any]]:
        """Records by partition; none where the time is up.

        aiokafka itself waits until a rebalance is over, however long that takes. The rebalance
        waits in `on_partitions_revoked` until who reads has finished: both stand still. Records
        are taken without waiting in between, so that an end from outside loses none.
        """
        try:
            async with asyncio.timeout(timeout_ms / 1000 + _MORE_S):
                return await super().getmany(  # type: ignore[no-any-return]
                    *partitions, timeout_ms=timeout_ms, max_records=max_records
                )
        except TimeoutError:
            # Its count of who reads now forgets those who were interrupted; an idle consumer would
            # never look idle again (`max_poll_interval_ms`).
            self._subscription._fetch_count -= 1
            return {}

    def fetch_when(self, min_bytes: int, max_wait_ms: int) -> None:
        """From the next fetch on the broker answers at so many bytes, or after so long; aiokafka
        takes both when it starts, and never again."""
        self._fetcher._fetch_min_bytes = min_bytes
        self._fetcher._fetch_max_wait_ms = max_wait_ms

    async def stop(self) -> None:
        """Leave the group and stop; where the broker is away, stop without.

        aiokafka cancels what it has begun and waits for it. Where a connection breaks at the same
        time, that cancellation comes out of its stop(), and leaves other connections open.
        """
        if not await ended_apart(super().stop(), self._client, STOP_S):
            log.debug("the consumer stopped without its broker")
            await ended_apart(self._client.close(), self._client, STOP_S)


class Admin(AIOKafkaAdminClient):  # type: ignore[misc]
    """Closing closes."""

    async def close(self) -> None:
        """Whatever the broker does meanwhile."""
        await ended_apart(super().close(), self._client, STOP_S)


async def ended_apart(stop: Coroutine[Any, Any, Any], client: Any, within_s: float) -> bool:
    """Run `stop`, which closes aiokafka's `client`, as a task of its own. True where it ended by
    itself.

    - aiokafka waits for futures of its own that it has cancelled. What comes out then looks, to
      who called it, like a cancellation from outside: a task would end of it without a word.
    - A connection with TLS that is closed waits for the broker's goodbye. With uvloop and an answer
      still on its way it may wait for half a minute: it is cut off.

    Raises: what `stop` raises.
    """
    connections = list(client._conns.values())
    transports = [each._writer.transport for each in connections if each._writer is not None]
    deadline = time.monotonic() + within_s
    running = asyncio.ensure_future(stop)
    try:
        while not running.done() and time.monotonic() < deadline:
            await asyncio.wait([running], timeout=_LOOK_S)
            if not running.done():
                for transport in transports:
                    if transport.is_closing():
                        transport.abort()
    finally:
        if not running.done():
            running.cancel()
            await asyncio.wait([running])
    if running.cancelled():
        return False
    running.result()
    return True
