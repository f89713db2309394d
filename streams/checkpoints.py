"""What a Faust app holds in memory, kept in tables now and then: nothing is committed before.

Faust acknowledges each record by itself and flushes its producer before a commit, but by its code
that flush gives up after 0.1 s without a send. Under kill -9 rows were lost in two of five runs of
the test: the commit was ahead of the table. Here a record is acknowledged when the broker has its
rows.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from faust.types import TP

from endcap.errors import EndcapError
from endcap.streams.demand import Rows

ROWS_AT_ONCE = 500
SESSION_TIMEOUT_S = 6
"""A killed worker's successor waits this long for its partitions; Faust's default is a minute."""
CATCH_UP_S = 30.0
"""Lists wait at most this long for what was counted before a crash to be counted again."""


class FrozenError(EndcapError):
    """This process stood still for so long that another may have taken its place."""


class KeptTable:
    """A Faust table of bytes, which may be written outside of an agent and waited for."""

    def __init__(self, app: Any, name: str) -> None:
        table = app.Table(name, default=None, key_type=bytes, value_type=bytes, partitions=1)
        table.key_serializer = table.value_serializer = "raw"
        # Its own way refuses a timer, and `use_partitioner` looks up all topics for each row.
        table.partition_for_key = lambda _: 0
        send = table.send_changelog

        def send_and_remember(*args: Any, **options: Any) -> Any:
            sent = send(*args, **options)
            self._sent.append(sent)
            return sent

        table.send_changelog = send_and_remember
        self._sent: list[Awaitable[Any]] = []
        self.table = table

    def rows(self) -> dict[bytes, bytes]:
        """All of it."""
        return dict(self.table.items())

    def set(self, key: bytes, value: bytes | None) -> None:
        """One row; None removes it."""
        if value is not None:
            self.table[key] = value
        elif key in self.table:
            self.table.pop(key)

    async def written(self) -> None:
        """Return when the broker has every row set so far."""
        sent, self._sent = self._sent, []
        await asyncio.gather(*sent)


class Checkpoints:
    """The records that were worked in and not kept yet, and the way to keep them."""

    def __init__(
        self,
        app: Any,
        sources: Sequence[TP],
        every_s: float,
        unkept: Callable[[], Iterable[tuple[KeptTable, Rows]]],
    ) -> None:
        self._app = app
        self._sources = sources
        self._every_s = every_s
        self._unkept = unkept
        self._held: list[Any] = []
        self._first: list[Awaitable[Any]] = []
        self._ticked_at: float | None = None
        self._restored_at: float | None = None
        self._targets: dict[TP, int] = {}
        self._caught_up = False
        app.on_partitions_revoked.connect(self._lose)

    def hold(self, event: Any) -> None:
        """An event that is worked in; it stays unacknowledged until the next checkpoint."""
        self._held.append(event)

    def send(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Send a record that the broker must have before the rows which follow from it."""
        sent = self._app.producer.send_and_wait(topic, key, value, 0, None, None)
        self._first.append(asyncio.ensure_future(sent))

    async def keep(self) -> None:
        """Keep what was worked in.

        1. Make sure that this process did not stand still: another would own the tables by now.
        2. Wait for what must be with the broker first.
        3. Write every row that changed; each holds the offsets that are in it.
        4. Wait until the broker has them.
        5. Acknowledge the events: Faust commits them.

        Raises:
            FrozenError: it did stand still.
        """
        now_s = time.monotonic()
        last_s, self._ticked_at = self._ticked_at or now_s - self._every_s, now_s
        if self._restored_at is None:
            return
        if now_s - last_s - self._every_s > SESSION_TIMEOUT_S:
            raise FrozenError(
                f"This process stood still for {now_s - last_s:.0f} s and may have been replaced. "
                "It ends without writing; start it again."
            )
        era = self._restored_at
        events, self._held = self._held, []
        first, self._first = self._first, []
        written = list(self._unkept())
        await asyncio.gather(*first)
        for table, rows in written:
            for number, (key, value) in enumerate(rows):
                table.set(key, value)
                if number % ROWS_AT_ONCE == ROWS_AT_ONCE - 1:
                    await asyncio.sleep(0)
        for table, _ in written:
            await table.written()
        if self._restored_at == era:  # else they are read again: a rebalance came in between
            for event in events:
                event.ack()
        self._ticked_at = time.monotonic()

    def restored(self) -> None:
        """Say that what the tables hold is in memory again."""
        self._restored_at, self._caught_up = time.monotonic(), False
        self._targets.clear()

    async def caught_up(self) -> bool:
        """Whether everything is worked in again that was before a restart.

        Until then a list would go back to an earlier state.
        """
        if self._caught_up or self._restored_at is None:
            return self._caught_up
        if time.monotonic() - self._restored_at > CATCH_UP_S:
            self._caught_up = True
            return True
        consumer = self._app.consumer
        if not consumer.assignment().issuperset(self._sources):
            return False
        if not self._targets:
            self._targets = dict(await consumer.highwaters(*self._sources))
        for source in self._sources:
            position = await consumer.position(source)
            if position is None or position < (self._targets.get(source) or 0):
                return False
        # What was fetched may still be on its way to the agent: at the next call it is there.
        self._caught_up = True
        return False

    async def _lose(self, *_: Any, **__: Any) -> None:
        # What was held before a rebalance is read again: its acknowledgement would skip it.
        self._held, self._first, self._restored_at = [], [], None
