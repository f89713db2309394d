"""Leaders moved between the brokers of a cluster: what do workers that are never restarted lose?

A killed broker's partitions go to the others, and with them the coordinators of the group and of
the transactions; once it is back, they return to it while both brokers run.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from endcap.deploy.bench.faults import Trial
from endcap.deploy.local_stack.kafka_cluster import NODES, KafkaCluster
from endcap.deploy.progress import Bars
from endcap.errors import BrokerUnavailableError, EndcapError
from endcap.streams.clients import started_admin

_MOVED_S = 60.0
_POLL_S = 0.2
_ANSWER_S = 10.0


def bench_leader_moves(
    moves: int, cache_dir: Path | None, bars: Bars, seed: int = 1
) -> dict[str, Any]:
    """Start a cluster of its own and let `leader_moves` happen to it."""
    with KafkaCluster(cache_dir, bars.say) as cluster:
        return leader_moves(cluster, moves, bars, seed)


def leader_moves(cluster: KafkaCluster, moves: int, bars: Bars, seed: int = 1) -> dict[str, Any]:
    """Kill one broker of three after the other; say what became of the events.

    As `bench_faults`; beside it `moved`: how often a partition got another leader, there and back.
    `workers_started`: those that worked from the beginning, if none was replaced.
    """
    trial = _LeaderMoves(cluster, {"leader": moves}, bars, seed)
    return asyncio.run(trial.run()) | {"moved": trial.moved}


class _Led(NamedTuple):
    leader: int
    preferred: int
    in_sync: bool


class _LeaderMoves(Trial):
    replication = len(NODES)
    events_per_s = 500  # three brokers and two workers share two cores in CI

    def __init__(self, cluster: KafkaCluster, plan: dict[str, int], bars: Bars, seed: int) -> None:
        super().__init__(cluster, plan, bars, seed)
        self.moved = 0
        self._cluster = cluster
        self._victims = cycle(NODES)
        self._killed: set[int] = set()

    def _kinds(self) -> dict[str, Callable[[], Awaitable[None]]]:
        return super()._kinds() | {"leader": self._move_leaders}

    async def _move_leaders(self) -> None:
        """Back to the broker that was killed last, and away from the next.

        1. Start the one that is down; wait until it is in sync and leads again what it led before.
           What was sent until then is committed.
        2. Kill the next. What was sent before, and what was sent since it has no leader any more,
           is committed.
        """
        for returning in self._cluster.down:
            await asyncio.to_thread(self._cluster.revive, returning)
        led = await self._settled()
        self.moved += sum(each.leader in self._killed for each in led)
        await self._recovered(await self._ends())
        victim = next(self._victims)
        self._killed = {victim}
        ends = await self._ends()
        await asyncio.to_thread(self._cluster.kill, victim)
        await self._leaders(lambda led: all(each.leader not in {victim, -1} for each in led))
        self.moved += sum(each.leader == victim for each in led)
        await self._recovered(ends)
        await self._recovered(await self._ends())

    async def _settled(self) -> list[_Led]:
        return await self._leaders(
            lambda led: all(each.in_sync and each.leader == each.preferred for each in led)
        )

    async def _leaders(self, wanted: Callable[[list[_Led]], bool]) -> list[_Led]:
        """All partitions of all topics, Kafka's own among them, once they are as wanted."""
        deadline = time.monotonic() + _MOVED_S
        while not wanted(led := await self._led()):
            if time.monotonic() > deadline:
                raise EndcapError(
                    f"After {_MOVED_S:.0f} s the leaders were still {led}; the brokers' logs are "
                    f"in {self._cluster.log_dir}."
                )
            await asyncio.sleep(_POLL_S)
        return led

    async def _led(self) -> list[_Led]:
        """Whom a broker names; leader -1 where none answers or none leads."""
        nobody = [_Led(-1, 0, in_sync=False)]
        try:
            admin = await started_admin(self._cluster.bootstrap_servers)
        except BrokerUnavailableError:
            return nobody
        try:
            topics = await asyncio.wait_for(admin.describe_topics(), _ANSWER_S)
        except (KafkaError, TimeoutError):
            return nobody
        finally:
            await admin.close()
        return [
            _Led(part["leader"], part["replicas"][0], len(part["isr"]) == len(part["replicas"]))
            for topic in topics
            for part in topic["partitions"]
        ]

    async def _ends(self) -> dict[TopicPartition, int]:
        while True:
            try:
                return await super()._ends()
            except KafkaError:  # of a leader that has just gone
                await asyncio.sleep(_POLL_S)
