"""How often each caller may ask: token buckets, one number each.

A bucket is kept as the time at which it will be full again (the generic cell rate algorithm, ITU-T
I.371): the same as counting tokens, and nothing has to refill it.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

MAX_CALLERS = 100_000


class Rate(NamedTuple):
    """`per_s` requests a second in the long run, `burst` at once. `per_s` 0: no limit."""

    per_s: float
    burst: int


class RateLimits:
    """The buckets of all callers, in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}

    def wait_s(self, caller: str, rate: Rate) -> float:
        """Take a token; 0: there was one, else how long until there is.

        >>> limits = RateLimits(clock=lambda: 100.0)
        >>> [limits.wait_s("shop", Rate(2.0, 2)) for _ in range(3)]
        [0.0, 0.0, 0.5]
        """
        if not rate.per_s:
            return 0.0
        now, token_s = self._clock(), 1.0 / rate.per_s
        full_at = max(self._full_at.get(caller, 0.0), now) + token_s
        wait_s = full_at - now - token_s * rate.burst
        if wait_s > 1e-9:
            return wait_s
        if caller not in self._full_at and len(self._full_at) >= MAX_CALLERS:
            self._forget(now)
        self._full_at[caller] = full_at
        return 0.0

    def _forget(self, now: float) -> None:
        """Full buckets say nothing; where so many are not full, everybody begins anew."""
        self._full_at = {who: at for who, at in self._full_at.items() if at > now}
        if len(self._full_at) >= MAX_CALLERS:
            self._full_at = {}
