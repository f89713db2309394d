"""Workers killed, frozen and moved, a broker killed, input shuffled and repeated: what is left?

While events flow, one fault after the other happens to a real broker and real worker processes.
At the end the sessions topic is compared, shopper by shopper, with the plain fold of all events.
"""

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiokafka import TopicPartition

from endcap.deploy.bench.commit_watch import CommitWatch
from endcap.deploy.bench.plain_fold import compare_with_plain_fold
from endcap.deploy.bench.stream_process import SESSION_TIMEOUT_S, Servers, StreamProcess
from endcap.deploy.bench.unruly_feed import UnrulyFeed
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.progress import Bars
from endcap.streams.clients import (
    create_topics,
    started_consumer,
    started_producer,
    stop_producer,
)
from endcap.topics import topics_with_prefix

PARTITIONS = 4
WORKERS = 2
EVENTS_PER_S = 1_500
DEFAULT_PLAN = {"kill": 20, "freeze": 24, "broker": 4, "rebalance": 8, "repeats": 8}
_DOWN_S = 5.0


def bench_faults(
    plan: dict[str, int], cache_dir: Path | None, bars: Bars, seed: int = 1
) -> dict[str, Any]:
    """Let the planned faults happen, in an order drawn from `seed`; say what became of the events.

    It brings its own stack: a broker of yours would not survive. `seconds_to_recover`: from the
    fault until all events that were there when it happened are folded and committed; medians. A
    fault ends when that is so. `fenced`: how often a worker that woke up was refused.
    """
    with LocalStack(None, "redis://none-needed", cache_dir, bars.say) as stack:
        return asyncio.run(_OneBroker(stack, plan, bars, seed).run())


class Trial:
    """The faults of workers and of input; those of brokers are the subclasses'."""

    replication = 1
    events_per_s = EVENTS_PER_S

    def __init__(self, stack: Servers, plan: dict[str, int], bars: Bars, seed: int) -> None:
        self._stack = stack
        self._bars = bars
        self._rng = random.Random(seed)  # noqa: S311 - a workload, not a secret
        self._faults = [kind for kind, times in plan.items() for _ in range(times)]
        self._rng.shuffle(self._faults)
        self._topics = topics_with_prefix(f"faults-{uuid4().hex[:8]}")
        self._prefix = self._topics.events.name.removesuffix(".events")
        self._workers: list[StreamProcess] = []
        self._numbers = count(1)
        self._fenced = 0

    async def run(self) -> dict[str, Any]:
        """What happened and what became of the events."""
        bootstrap = self._stack.bootstrap_servers
        await create_topics(bootstrap, self._topics, PARTITIONS, self.replication)
        seconds: dict[str, list[float]] = {}
        async with AsyncExitStack() as closing:
            closing.push_async_callback(self._stop_workers)
            for _ in range(WORKERS):
                self._workers.append(await self._new_worker())
            watching = await started_consumer(bootstrap, group_id=f"{self._prefix}-stream")
            closing.push_async_callback(watching.stop)
            self._watch = CommitWatch(
                bootstrap, self._topics, PARTITIONS, watching, self._stack.log_dir
            )
            producer = await started_producer(bootstrap)
            closing.push_async_callback(stop_producer, producer)
            self._feed = UnrulyFeed(
                producer, self._topics.events.name, self._rng, self.events_per_s
            )
            feeding = asyncio.create_task(self._feed.run())
            await self._recovered(await self._ends())
            for done, kind in enumerate(self._faults):
                self._bars.advance("Faults", done, len(self._faults))
                started = time.monotonic()
                await self._kinds()[kind]()
                seconds.setdefault(kind, []).append(time.monotonic() - started)
            self._bars.advance("Faults", len(self._faults), len(self._faults))
            self._feed.stop()
            await feeding
            await self._recovered(await self._ends())
            await self._recovered(await self._watch.parcels())
        self._bars.say("Comparing every session with the plain fold")
        found = await compare_with_plain_fold(bootstrap, self._topics, self._feed.events)
        return {
            "faults": len(self._faults),
            "events": self._feed.records,
            **found,
            "by_kind": dict(Counter(self._faults)),
            "fenced": self._fenced,
            "workers_started": next(self._numbers) - 1,
            "seconds_to_recover": {
                kind: round(statistics.median(took), 2) for kind, took in seconds.items()
            },
            "slowest_s": {kind: round(max(took), 2) for kind, took in seconds.items()},
            "session_timeout_s": SESSION_TIMEOUT_S,
        }

    def _kinds(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Each is one fault, and its recovery."""
        return {
            "kill": self._kill,
            "freeze": self._freeze,
            "rebalance": self._rebalance,
            "repeats": self._repeat,
        }

    async def _kill(self) -> None:
        ends = await self._ends()
        at = self._rng.randrange(len(self._workers))
        await asyncio.to_thread(self._workers[at].child.kill)
        self._workers[at] = await self._new_worker()
        await self._recovered(ends)

    async def _freeze(self) -> None:
        """Frozen until others have done its work and gone on; then it wakes up with its batch."""
        worker = self._rng.choice(self._workers)
        fenced = worker.fenced()
        worker.child.pause()
        try:
            await self._recovered(await self._ends())
            await self._recovered(await self._ends())  # what came since: its own is stale now
        finally:
            worker.child.resume()
        await self._recovered(await self._ends())
        self._fenced += await asyncio.to_thread(worker.fenced) - fenced

    async def _rebalance(self) -> None:
        worker = await self._new_worker()
        await self._recovered(await self._ends())
        ends = await self._ends()
        await asyncio.to_thread(worker.child.stop, 30.0)
        await self._recovered(ends)

    async def _repeat(self) -> None:
        self._feed.repeat()
        await self._recovered(await self._ends())

    async def _new_worker(self) -> StreamProcess:
        return await asyncio.to_thread(
            StreamProcess, self._stack, self._prefix, next(self._numbers)
        )

    async def _stop_workers(self) -> None:
        for worker in self._workers:
            await asyncio.to_thread(worker.child.stop, 30.0)

    async def _ends(self) -> dict[TopicPartition, int]:
        return await self._watch.ends()

    async def _recovered(self, ends: dict[TopicPartition, int]) -> None:
        await self._watch.reached(ends, self._check)

    def _check(self) -> None:
        for worker in self._workers:
            worker.child.check()


class _OneBroker(Trial):
    def __init__(self, stack: LocalStack, plan: dict[str, int], bars: Bars, seed: int) -> None:
        super().__init__(stack, plan, bars, seed)
        self._local = stack

    def _kinds(self) -> dict[str, Callable[[], Awaitable[None]]]:
        return super()._kinds() | {"broker": self._kill_broker}

    async def _kill_broker(self) -> None:
        ends = await self._ends()
        await asyncio.to_thread(self._local.kill_kafka)
        await asyncio.sleep(_DOWN_S)
        await asyncio.to_thread(self._local.revive_kafka)
        await self._recovered(ends)
