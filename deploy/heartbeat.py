"""Whether the event loop of a process turns."""

import asyncio
import time
from collections.abc import Callable

_BEAT_S = 1.0


class Heartbeat:
    """When the event loop turned last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def beat_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Now, and every second from now on while the loop runs."""
        self._last = self._clock()
        loop.call_later(_BEAT_S, self.beat_on, loop)

    @property
    def age_s(self) -> float:
        """Seconds since then."""
        return self._clock() - self._last
