"""How long a page waits, how often it asks again, and who is told."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from endcap.client.answers import Observation
from endcap.client.errors import RequestError


def _nobody(_: Observation) -> None:
    """Told, and does nothing."""


@dataclass(frozen=True)
class Options:
    """Defaults suit a page in the same data centre as its Redis.

    `timeout_s`: for a connection, and for each answer. `tries`: the first one included.
    `backoff_s`: at most this long before the second try, twice as long before the next, up to
    `backoff_cap_s`; the true pause is drawn between nothing and that, so that many pages do not
    come back at once. `deadline_s`: no try begins later than this after the first. Thus a read
    takes `deadline_s` and one try at the worst, and a try twice `timeout_s` where it connects, as
    much again for each key whose node of a cluster is away.

    `max_connections`: of the pool; on a cluster, reads at a time. Who finds none free waits for
    `timeout_s`. `observe` is called after each read: count there, for Prometheus or another.

    >>> from collections import Counter
    >>> seen = Counter()
    >>> Options(observe=lambda read: seen.update([(read.source, read.error)])).tries
    3

    Raises:
        RequestError: a value out of its range.
    """

    timeout_s: float = 0.2
    tries: int = 3
    backoff_s: float = 0.02
    backoff_cap_s: float = 0.2
    deadline_s: float = 0.5
    max_connections: int = 50
    observe: Callable[[Observation], None] = _nobody

    def __post_init__(self) -> None:
        for name in ("timeout_s", "backoff_s", "backoff_cap_s", "deadline_s"):
            if not getattr(self, name) > 0:
                raise RequestError(f"{name} is {getattr(self, name)!r}: give seconds above 0.")
        for name in ("tries", "max_connections"):
            if getattr(self, name) < 1:
                raise RequestError(f"{name} is {getattr(self, name)!r}: give at least 1.")

    def pauses(self) -> Iterator[float]:
        """Seconds to wait before the second try, the third and so on."""
        for number in range(self.tries - 1):
            longest = min(self.backoff_cap_s, self.backoff_s * 2**number)
            yield random.uniform(0, longest)  # noqa: S311 - it keeps no secret
