"""Load that does not wait for answers: requests come when they come, and queueing counts."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from endcap.arrays import FloatArray

Serve = Callable[[Sequence[int]], object]
"""Answers the requests with these numbers, all at once."""


class Served(NamedTuple):
    """Milliseconds from when each request was due to when its answer was there [n]; the mean
    number of requests answered at once; the rate that was reached; this process's CPU time a
    request, which a busy machine disturbs less."""

    latencies_ms: FloatArray
    mean_batch: float
    achieved_per_s: float
    cpu_ms_a_request: float

    def quantile_ms(self, share: float) -> float:
        """Of 0.9, what nine requests of ten do not exceed."""
        return round(float(np.quantile(self.latencies_ms, share)), 3)


def open_loop(serve: Serve, per_s: float, seconds: float, largest_batch: int, seed: int) -> Served:
    """Poisson arrivals at `per_s` for `seconds`, answered by one thread: what is waiting forms the
    batch.

    A request that is due while a batch is in hand waits, and its wait is in its latency.
    """
    gaps = np.random.default_rng(seed).exponential(1 / per_s, max(1, round(per_s * seconds)))
    due = np.cumsum(gaps).tolist()
    done = np.zeros(len(due))
    batches = 0
    cpu_s = time.process_time()
    start = time.perf_counter()
    at = 0
    while at < len(due):
        now = time.perf_counter() - start
        if due[at] > now:
            time.sleep(due[at] - now)
            continue
        end = at + 1
        while end < len(due) and end - at < largest_batch and due[end] <= now:
            end += 1
        serve(range(at, end))
        done[at:end] = time.perf_counter() - start
        batches += 1
        at = end
    cpu_s = time.process_time() - cpu_s
    latencies = ((done - np.array(due)) * 1000).astype(np.float32)
    achieved = round(len(due) / float(done[-1]), 1)
    return Served(latencies, len(due) / batches, achieved, round(cpu_s / len(due) * 1000, 3))
