"""How eagerly a busy partition reader fetches: at once while events are few, in small companies
while they are many."""

import time
from collections.abc import Callable
from typing import Protocol

FEW_A_SECOND, MANY_A_SECOND = 300.0, 400.0
"""Below the first a fetch ends with the first event; above the second it waits for others. In
between it stays as it was."""
GATHER_MS = 5
AT_ONCE_MS = 50
_WINDOW_S = 0.5
_MORE_THAN_COMES = 1 << 20


class Fetching(Protocol):
    """A consumer whose fetches can be asked to wait."""

    def fetch_when(self, min_bytes: int, max_wait_ms: int) -> None:
        """From the next fetch on: answer at so many bytes, or after so long."""
        ...


class FetchPace:
    """Of one consumer. A fetch for each event is most of what an event costs: where they come every
    few milliseconds, waiting for company leaves time for lists (docs/decisions/0021)."""

    def __init__(self, consumer: Fetching, clock: Callable[[], float] = time.monotonic) -> None:
        self._consumer = consumer
        self._clock = clock
        self._began = clock()
        self._events = 0
        self._gathers = False

    def read(self, events: int) -> None:
        """So many have come."""
        self._events += events
        passed_s = self._clock() - self._began
        if passed_s < _WINDOW_S:
            return
        rate = self._events / passed_s
        self._began, self._events = self._clock(), 0
        gathers = rate > MANY_A_SECOND or (self._gathers and rate > FEW_A_SECOND)
        if gathers != self._gathers:
            self._gathers = gathers
            if gathers:
                self._consumer.fetch_when(_MORE_THAN_COMES, GATHER_MS)
            else:
                self._consumer.fetch_when(1, AT_ONCE_MS)
