"""Long-running parts, run side by side until Ctrl-C or SIGTERM."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from endcap.errors import EndcapError


class Part(Protocol):
    """`run()` returns after `stop()`."""

    def stop(self) -> None:
        """Finish what is in hand."""

    async def run(self) -> None:
        """Work until stopped."""


def run_on_the_fastest_loop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """uvloop where there is one: not on Windows."""
    try:
        from uvloop import new_event_loop as factory
    except ImportError:
        factory = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


def stop_on_signal(stop: Callable[[], None]) -> None:
    """Ctrl-C and SIGTERM call `stop`, in the running loop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)


async def run_together(parts: Sequence[Part]) -> None:
    """Returns when all have been stopped; where one fails the others are cancelled.

    Raises:
        EndcapError: what one of them failed of.
    """

    def stop() -> None:
        for part in parts:
            part.stop()

    stop_on_signal(stop)
    try:
        async with asyncio.TaskGroup() as running:
            for part in parts:
                running.create_task(part.run())
    except* EndcapError as group:
        raise group.exceptions[0] from None


@asynccontextmanager
async def running(part: Part) -> AsyncIterator[None]:
    """Runs beside what is inside, and is stopped behind it."""
    task = asyncio.create_task(part.run())
    try:
        yield
    finally:
        part.stop()
        await task


async def cancelled(task: "asyncio.Task[Any]") -> None:
    """Returns when it has ended, or raises what it failed of."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
