"""One task for each partition that a member of a consumer group owns now."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable

from aiokafka.errors import IllegalStateError, KafkaError, ProducerFenced

from endcap.errors import ConnectionFailedError
from endcap.streams import metrics

log = logging.getLogger(__name__)

_RELEASE_S = 10.0
_FIRST_RETRY_S, _LAST_RETRY_S = 0.25, 3.0


class PartitionTask:
    """Owns a partition until it is released, and anew whenever something outside fails.

    `hold` acquires the partition and works on it; it returns once `released` is set, and says
    `progressed()` after each batch.
    """

    def __init__(
        self, name: str, heartbeat_ms: int, hold: Callable[["PartitionTask"], Awaitable[None]]
    ) -> None:
        self.released = asyncio.Event()
        self._name = name
        self._heartbeat_ms = heartbeat_ms
        self._hold = hold
        self._retry_s = _FIRST_RETRY_S

    def progressed(self) -> None:
        """What failed before is mended."""
        self._retry_s = _FIRST_RETRY_S

    async def run(self) -> None:
        """Returns when it is released, or when the partition is not assigned any more."""
        while not self.released.is_set():
            try:
                await self._hold(self)
            except IllegalStateError:
                return  # not assigned any more; who is will be told
            except ProducerFenced:
                metrics.FENCED.inc()
                log.warning("%s has another owner now", self._name)
                # Who slept through their expulsion hear of it with their next heartbeat. Until
                # then they must not take the partition back from its rightful owner.
                await self._pause(2 * self._heartbeat_ms / 1000)
            except (KafkaError, ConnectionFailedError) as error:
                await self._retry_after(error)
            except asyncio.CancelledError as error:
                current = asyncio.current_task()
                if current is None or current.cancelling():
                    raise
                # Nobody cancelled this task: a client's own cancellation came out of it. It would
                # end without a word, and its partition with it.
                await self._retry_after(error)

    async def _retry_after(self, error: BaseException) -> None:
        metrics.RETRIES.inc()
        log.warning("%s is acquired anew in %.1f s: %r", self._name, self._retry_s, error)
        # Not all at once: the partitions of a broker fail together.
        await self._pause(self._retry_s * random.uniform(0.5, 1.0))  # noqa: S311
        self._retry_s = min(2 * self._retry_s, _LAST_RETRY_S)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.released.wait(), seconds)


class PartitionTasks:
    """The tasks of the partitions owned now. `ended` is set when one of them fails for good."""

    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended
        self._running: dict[PartitionTask, asyncio.Task[None]] = {}

    def start(self, task: PartitionTask) -> None:
        """Run it until it is released."""
        running = self._running[task] = asyncio.create_task(task.run())
        running.add_done_callback(self._end_if_failed)

    async def release(self) -> list[BaseException]:
        """Let the batches in hand end; returns what tasks had failed of.

        A batch that cannot end (its broker is away) is abandoned: the next owner aborts it.
        """
        running, self._running = self._running, {}
        for task in running:
            task.released.set()
        if running:
            _, unfinished = await asyncio.wait(running.values(), timeout=_RELEASE_S)
            for each in unfinished:
                each.cancel()
        ended = await asyncio.gather(*running.values(), return_exceptions=True)
        return [
            error
            for error in ended
            if error is not None and not isinstance(error, asyncio.CancelledError)
        ]

    def _end_if_failed(self, running: "asyncio.Task[None]") -> None:
        if not running.cancelled() and running.exception() is not None:
            self._ended.set()
