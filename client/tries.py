"""How often one read has asked, and whether it may once more."""

import time

from endcap.client.answers import Observation
from endcap.client.errors import ClientError
from endcap.client.options import Options


class Tries:
    """Of one read, from its first try on."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._pauses = options.pauses()
        self._began = time.monotonic()
        self._count = 1

    def next_pause_s(self) -> float | None:
        """How long to wait before the next try; None: there is none."""
        pause_s = next(self._pauses, None)
        if pause_s is None or self._elapsed_s() + pause_s > self._options.deadline_s:
            return None
        self._count += 1
        return pause_s

    def report(self, read: Observation) -> None:
        """Tell the observer, with the tries and the time that this read took."""
        self._options.observe(read._replace(tries=self._count, seconds=self._elapsed_s()))

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began


def name_of(problem: ClientError | None) -> str:
    """As a metric's label."""
    return "" if problem is None else type(problem).__name__
