"""What can happen to a shop, and be undone again."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from endcap.deploy.bench.soak.shop import Part, Shop


class Fault(NamedTuple):
    """`begin` and `end` block until the part is gone, or answers again."""

    kind: str
    begin: Callable[[], None]
    end: Callable[[], None]


KINDS = (
    *(
        f"{what} {part}"
        for part in ("a session worker", "a rescorer", "the server", "the broker", "Redis")
        for what in ("kill", "freeze")
    ),
    *(
        f"{what} {part}"
        for part in ("Kafka", "Redis")
        for what in ("cut", "late", "slow", "silent")
    ),
)
"""In the order of the report's table."""


class Faults:
    """Makes them; where there are two of a part, `rng` chooses."""

    def __init__(self, shop: Shop, rng: random.Random) -> None:
        self._rng = rng
        self._parts: Mapping[str, Sequence[Part]] = {
            "a session worker": shop.workers,
            "a rescorer": shop.rescorers,
            "the server": [shop.server],
            "the broker": [shop.kafka],
            "Redis": [shop.redis],
        }
        self._proxies = {"Kafka": shop.kafka_proxy, "Redis": shop.redis_proxy}

    def of(self, kind: str) -> Fault:
        """A fault of one of `KINDS`."""
        what, where = kind.split(" ", 1)
        if what in {"kill", "freeze"}:
            part = self._rng.choice(self._parts[where])
            is_kill = what == "kill"
            return Fault(
                kind,
                part.kill if is_kill else part.freeze,
                part.revive if is_kill else part.wake,
            )
        proxy = self._proxies[where]
        harms = {"cut": proxy.cut, "late": proxy.late, "slow": proxy.slow, "silent": proxy.silence}
        return Fault(kind, harms[what], proxy.heal)
