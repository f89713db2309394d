"""Load that does not wait: who is late makes the others wait, and that is counted."""

import time
from collections.abc import Sequence

import numpy as np

from endcap.deploy.bench.open_loop import open_loop


def test_every_request_is_answered_once_in_batches_no_larger_than_allowed() -> None:
    answered: list[int] = []
    sizes: list[int] = []

    def serve(numbers: Sequence[int]) -> None:
        answered.extend(numbers)
        sizes.append(len(numbers))

    served = open_loop(serve, per_s=2000, seconds=0.2, largest_batch=4, seed=1)
    assert answered == list(range(400))
    assert max(sizes) <= 4
    assert served.latencies_ms.shape == (400,)
    assert (served.latencies_ms > 0).all()


def test_waiting_behind_a_slow_batch_counts() -> None:
    def slow_at_first(numbers: Sequence[int]) -> None:
        if 0 in numbers:
            until = time.perf_counter() + 0.2
            while time.perf_counter() < until:
                pass

    served = open_loop(slow_at_first, per_s=200, seconds=0.5, largest_batch=32, seed=1)
    waited = np.sort(served.latencies_ms[:20])
    assert waited[10] > 50
