"""Memory and CPU of processes, sampled while they work."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil

EVERY_S = 0.5
_WINDOW = 10
"""Samples, that is five seconds: what a request of CPU has to cover, not a moment's spike."""
_MIB = 1 << 20


@dataclass
class Seen:
    """One process, as it was sampled."""

    process: psutil.Process
    rss_mib: float = 0.0
    anonymous_mib: float = 0.0
    cpu_s: float = 0.0
    cores_5s: float = 0.0
    moments: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_WINDOW))

    def sample(self) -> None:
        """Raise the peaks; a process that has ended keeps what was last seen."""
        try:
            memory, cpu = self.process.memory_info(), self.process.cpu_times()
        except psutil.NoSuchProcess:
            return
        self.rss_mib = max(self.rss_mib, memory.rss / _MIB)
        self.anonymous_mib = max(self.anonymous_mib, (memory.rss - memory.shared) / _MIB)
        self.cpu_s = cpu.user + cpu.system
        self.moments.append((time.monotonic(), self.cpu_s))
        if len(self.moments) == _WINDOW:
            (began, before), (ended, after) = self.moments[0], self.moments[-1]
            self.cores_5s = max(self.cores_5s, (after - before) / (ended - began))

    def figures(self, events: int) -> dict[str, float]:
        """Peaks, and CPU over so many events."""
        return {
            "rss_mib": round(self.rss_mib),
            "anonymous_mib": round(self.anonymous_mib),
            "cores_5s": round(self.cores_5s, 2),
            "cpu_s": round(self.cpu_s, 1),
            "cpu_ms_per_1000_events": round(1e6 * self.cpu_s / events, 1),
        }


@contextlib.contextmanager
def sampled(pids: dict[str, int]) -> Iterator[dict[str, Seen]]:
    """These processes, by name, sampled twice a second by a thread of its own, and at the end."""
    seen = {name: Seen(psutil.Process(pid)) for name, pid in pids.items()}
    done = threading.Event()

    def sample() -> None:
        while not done.wait(EVERY_S):
            for each in seen.values():
                each.sample()

    sampling = threading.Thread(target=sample, name="sampling")
    sampling.start()
    try:
        yield seen
    finally:
        done.set()
        sampling.join()
        for each in seen.values():
            each.sample()
