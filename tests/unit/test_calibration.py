"""The batch that a machine is given: by its own rates, never one that makes everybody wait."""

from collections.abc import Callable, Sequence

import pytest

from endcap.serving.calibration import SIZES, calibrated_batch
from endcap.sessions import Session


class Machine:
    """Takes so long for a batch of so many; `clock` is its time."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self._seconds = seconds
        self.now = 0.0

    def rescore(self, sessions: Sequence[Session]) -> None:
        self.now += self._seconds(len(sessions))

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (lambda users: 0.001 * users, 1),  # a batch gains nothing
        (lambda users: 0.002 + 0.0001 * users, 64),  # the call itself is dear
        (lambda users: 0.0005 + 0.0005 * users, 8),  # nearly the best rate is enough
        (lambda users: 0.004 + 0.004 * users, 2),  # of those within 15 ms
        (lambda users: 1.0 * users, 1),  # none is
    ],
)
def test_the_smallest_batch_that_is_nearly_as_quick_as_the_best(
    seconds: Callable[[int], float], expected: int
) -> None:
    machine = Machine(seconds)
    found = calibrated_batch(machine.rescore, [Session("u")], clock=machine.clock)
    assert found == expected
    assert found in SIZES
