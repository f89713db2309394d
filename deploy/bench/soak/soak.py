"""Load held while one part after the other fails: what is lost, doubled, wrong, and for how long?

At the end every session is compared with the plain fold of all events, and every list in Redis with
what its session makes.
"""

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import redis.asyncio

from endcap.bundle import load_bundle
from endcap.deploy.bench.commit_watch import CommitWatch
from endcap.deploy.bench.plain_fold import compare_with_plain_fold
from endcap.deploy.bench.soak.faults import KINDS, Fault, Faults
from endcap.deploy.bench.soak.readers import Readers
from endcap.deploy.bench.soak.right_lists import (
    Lists,
    compare_lists,
    expected_lists,
    newest_sessions,
)
from endcap.deploy.bench.soak.shop import Shop
from endcap.deploy.bench.unruly_feed import SHOPPERS, UnrulyFeed
from endcap.deploy.progress import Bars
from endcap.deploy.settings import Settings
from endcap.deploy.stopping import cancelled
from endcap.errors import EndcapError
from endcap.lists import decode_list, rec_key
from endcap.serving.onnx_session import OnnxScorer
from endcap.streams.clients import create_topics, started_consumer, started_producer, stop_producer
from endcap.topics import topics_with_prefix

PARTITIONS = 4
EVENTS_PER_S = 300
HELD_S = 8.0
REST_S = 2.0
WATCHED = tuple(f"w{number}" for number in range(8))
"""Shoppers who do something when a fault ends; of eight, all partitions have one."""
_LISTED_S = 120.0
_POLL_S = 0.05


def soak(
    settings: Settings,
    seconds: float,
    bars: Bars,
    seed: int = 1,
    kinds: Sequence[str] = KINDS,
    logs: Path | None = None,
) -> dict[str, Any]:
    """Faults of all `kinds` in turn, in an order drawn from `seed`, for so long.

    The processes' logs stay in the folder `logs`; without one they go where nothing was wrong.

    It brings its own shop. `seconds_to_recover`: from the end of a fault (the part is started or
    woken up, the connection healed) until what watched shoppers did at that moment is in their
    lists in Redis.
    """
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise EndcapError(f"No such fault: {', '.join(unknown)}. There are: {', '.join(KINDS)}.")
    prefix = f"soak-{uuid4().hex[:8]}"
    with Shop(settings.bundle, prefix, settings.cache_dir, bars.say, logs) as shop:
        return asyncio.run(_Soak(shop, prefix, settings, seconds, bars, seed, kinds).run())


class _Soak:
    def __init__(
        self,
        shop: Shop,
        prefix: str,
        settings: Settings,
        seconds: float,
        bars: Bars,
        seed: int,
        kinds: Sequence[str],
    ) -> None:
        self._shop = shop
        self._topics = topics_with_prefix(prefix)
        self._group = f"{prefix}-stream"
        self._settings = settings
        self._seconds = seconds
        self._bars = bars
        self._kinds = kinds
        self._rng = random.Random(seed)  # noqa: S311 - a workload, not a secret
        self._bundle = load_bundle(settings.bundle)
        self._acts: Counter[str] = Counter()
        self._items = count()

    async def run(self) -> dict[str, Any]:
        """The load, the faults, the verdict."""
        bootstrap = self._shop.bootstrap_servers
        await create_topics(bootstrap, self._topics, PARTITIONS)
        await asyncio.to_thread(self._shop.start_processes)
        async with AsyncExitStack() as closing:
            watching = await started_consumer(bootstrap, group_id=self._group)
            closing.push_async_callback(watching.stop)
            watch = CommitWatch(bootstrap, self._topics, PARTITIONS, watching, self._shop.log_dir)
            producer = await started_producer(bootstrap)
            closing.push_async_callback(stop_producer, producer)
            self._feed = UnrulyFeed(
                producer, self._topics.events.name, self._rng, EVENTS_PER_S, self._item
            )
            self._redis = redis.asyncio.Redis(port=self._shop.redis_port)
            closing.push_async_callback(self._redis.aclose)
            users = [*(f"u{number}" for number in range(SHOPPERS)), "nobody"]
            self._readers = Readers(self._shop.http_port, users, self._rng)
            feeding = asyncio.create_task(self._feed.run())
            closing.push_async_callback(cancelled, feeding)
            reading = asyncio.create_task(self._readers.run())
            closing.push_async_callback(cancelled, reading)
            await self._listed()
            recovered = await self._faults(feeding)
            self._bars.say("The last fault is over: waiting until all is folded")
            self._feed.stop()
            await feeding
            await watch.reached(await watch.ends(), self._shop.look)
            await watch.reached(await watch.parcels(), self._shop.look)
            lists = await self._judged()
            await cancelled(reading)
            self._bars.say("Comparing every session with the plain fold")
            found = await compare_with_plain_fold(bootstrap, self._topics, self._feed.events)
        return self._told(found, lists, recovered)

    async def _faults(self, feeding: "asyncio.Task[None]") -> dict[str, list[float]]:
        """Every kind once, in any order; then again, until the time is up."""
        faults = Faults(self._shop, self._rng)
        begun = time.monotonic()
        took: dict[str, list[float]] = {}
        while time.monotonic() - begun < self._seconds:
            for kind in self._rng.sample(self._kinds, len(self._kinds)):
                passed = time.monotonic() - begun
                self._bars.advance(
                    "Seconds", min(int(passed), int(self._seconds)), int(self._seconds)
                )
                if passed >= self._seconds:
                    break
                if feeding.done():
                    await feeding
                seconds = await self._one(faults.of(kind))
                took.setdefault(kind, []).append(seconds)
                self._bars.say(f"{kind}: back after {seconds:.1f} s")
                await asyncio.sleep(REST_S)
        return took

    async def _one(self, fault: Fault) -> float:
        """Returns how long it took to recover."""
        self._readers.is_up = "the server" not in fault.kind
        self._readers.during = fault.kind
        await asyncio.to_thread(fault.begin)
        await asyncio.sleep(HELD_S)
        await asyncio.to_thread(fault.end)
        ended = time.monotonic()
        await self._listed()
        self._readers.is_up = True
        self._readers.during = ""
        return time.monotonic() - ended

    async def _listed(self) -> None:
        """Each watched shopper does something; returns when it is in all of their lists."""
        sent: list[Awaitable[Any]] = []
        for user_id in WATCHED:
            sent.append(await self._feed.act(user_id, self._item(next(self._items))))
            self._acts[user_id] += 1
        await asyncio.gather(*sent)
        behind = set(WATCHED)
        deadline = time.monotonic() + _LISTED_S
        while behind:
            self._shop.look()
            if time.monotonic() > deadline:
                raise EndcapError(
                    f"{_LISTED_S:.0f} s after a fault the lists of {sorted(behind)} were still "
                    "without what they did when it ended."
                )
            held = await self._redis.mget([rec_key(user_id) for user_id in WATCHED])
            for user_id, raw in zip(WATCHED, held, strict=True):
                if (
                    raw is not None
                    and decode_list(cast("bytes", raw)).version >= self._acts[user_id]
                ):
                    behind.discard(user_id)
            await asyncio.sleep(_POLL_S)

    async def _judged(self) -> Lists:
        """The lists, once they are right; else as they are when there was time enough."""
        sessions = await newest_sessions(self._shop.bootstrap_servers, self._topics)
        scorer = OnnxScorer(self._bundle, self._settings.provider, 1)
        expected = await asyncio.to_thread(expected_lists, sessions, self._bundle, scorer)
        deadline = time.monotonic() + _LISTED_S
        while True:
            lists = await compare_lists(expected, self._shop.redis_port)
            if lists.are_right or time.monotonic() > deadline:
                return lists
            await asyncio.sleep(1.0)

    def _item(self, number: int) -> str:
        return self._bundle.items[number % len(self._bundle.items)].item_id

    def _told(
        self, found: dict[str, int], lists: Lists, recovered: dict[str, list[float]]
    ) -> dict[str, Any]:
        readers = self._readers
        return {
            "faults": sum(map(len, recovered.values())),
            "events": self._feed.records,
            **found,
            "restarts": self._shop.restarts,
            "lists": lists._asdict(),
            "reads": readers.answers.total(),
            "reads_by_answer": dict(readers.answers),
            "reads_failed": sum(readers.failed.values()),
            "reads_failed_by_fault": dict(readers.failed),
            "slowest_read_s": round(readers.slowest_s, 2),
            "seconds_to_recover": {
                kind: {
                    "times": len(recovered[kind]),
                    "median": round(statistics.median(recovered[kind]), 2),
                    "longest": round(max(recovered[kind]), 2),
                }
                for kind in KINDS
                if kind in recovered
            },
            "seconds": self._seconds,
            "events_per_s": EVENTS_PER_S,
            "held_s": HELD_S,
        }
