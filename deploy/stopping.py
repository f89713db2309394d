"""Long-running parts, run side by side until Ctrl-C or SIGTERM."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from typing import Protocol

from endcap.errors import EndcapError


class Part(Protocol):
    """`run()` returns after `stop()`."""

    def stop(self) -> None:
        """Finish what is in hand."""

    async def run(self) -> None:
        """Work until stopped."""


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
