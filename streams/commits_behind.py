"""Transactions that follow the fold: one commits while the next batches are folded on top."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from endcap.streams import metrics
from endcap.streams.folded_batch import FoldedBatch
from endcap.streams.owned_partition import OwnedPartition

_GOLDEN = (5**0.5 - 1) / 2


class CommitsBehind:
    """The commits of one partition, one at a time; each takes all that is folded until it begins.

    They begin at most every `every_s` seconds, but for those that somebody waits for; those of
    several partitions not all at once, since meanwhile nobody folds.
    """

    def __init__(
        self,
        owned: OwnedPartition,
        every_s: float,
        committed: Callable[[FoldedBatch], None],
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`committed` hears of what each transaction held; `before` is waited for at its begin."""
        self._owned = owned
        self._every_s = every_s
        self._committed = committed
        self._before = before
        self._running: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._due = 0.0

    def follow(self) -> None:
        """Commit what is folded, soon."""
        if self._running is None or self._running.done():
            self.check()
            self._running = asyncio.create_task(self._run())

    def check(self) -> None:
        """Raise what a commit has failed of."""
        if self._running is not None and self._running.done():
            self._running.result()

    async def all(self) -> None:
        """Returns when all that is folded is committed."""
        self._hurry.set()
        try:
            self.follow()
            if self._running is not None:
                await self._running
        finally:
            self._hurry.clear()

    async def abandon(self) -> None:
        """The partition is given up; what is not committed is read again by its next owner."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
            if not self._running.cancelled():
                self._running.exception()

    def _next_turn(self, now: float) -> float:
        if not self._every_s:
            return now
        # By the golden ratio turns lie apart whichever partitions a worker has.
        turn = self._owned.partition * _GOLDEN % 1 * self._every_s
        return now + self._every_s - (now - turn) % self._every_s

    async def _run(self) -> None:
        while self._owned.records_ahead:
            pause_s = self._due - time.monotonic()
            if pause_s > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), pause_s)
            started = time.monotonic()
            self._due = self._next_turn(started)
            if self._before is not None:
                await self._before()
            self._committed(await self._owned.commit())
            metrics.COMMIT_SECONDS.observe(time.monotonic() - started)
