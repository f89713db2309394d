"""aiokafka's consumer, with two waits that end.

Both were found by cutting Kafka off for seconds (`endcap bench soak --only "cut Kafka"`).
"""

import asyncio
import logging
from typing import Any

from aiokafka import AIOKafkaConsumer

log = logging.getLogger(__name__)

STOP_S = 10.0
_MORE_S = 0.5


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

    async def stop(self) -> None:
        """Leave the group and stop; where the broker is away, stop without.

        aiokafka cancels what it has begun and waits for it. Where the broker goes away at the same
        time, that cancellation comes out of its stop() as if the caller were cancelled, and
        leaves connections open.
        """
        stopping = asyncio.ensure_future(super().stop())
        try:
            await asyncio.wait([stopping], timeout=STOP_S)
        finally:
            stopping.cancel()  # does nothing to what has ended
            await asyncio.wait([stopping])
        if stopping.cancelled():
            log.debug("the consumer stopped without its broker")
            await self._client.close()
        else:
            stopping.result()
