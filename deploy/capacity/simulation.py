"""The same deployment as queues, by discrete events (simpy): what waits, for how long, and where.

Events come by a Poisson process to each worker. As in endcap, a batch is what is waiting: nobody
waits on a timer, a batch costs a part of its own and a part for each of its members. Between two
looks at an inbox the arrivals of a Poisson process are uniform (Kingman, Poisson Processes, 1993,
section 2.4), so that a batch of ten thousand is one draw, and a thousand workers can be simulated.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy

from endcap.deploy.capacity.constants import MEASURED, Constants
from endcap.deploy.capacity.sizing import Plan

Steps = Generator[Any, Any, None]
BATCH_BOUND = 128
"""Of a rescorer: what `endcap rescore` calibrates to, at most."""
_FOLD_BOUND = 20_000


@dataclass(frozen=True)
class Queues:
    """What the queues of a deployment are, in seconds and counts."""

    events_per_second: float
    lists_per_event: float
    partitions: int
    stream_workers: int
    rescorers: int
    redis_shards: int
    fold_batch_s: float
    fold_s: float
    score_batch_s: float
    score_s: float
    trends_s: float
    redis_s: float
    read_s: float
    produce_s: float
    hand_over_s: float
    write_s: float
    batch_bound: int = BATCH_BOUND


def queues_of(
    sized: Plan, events_per_second: float | None = None, measured: Constants = MEASURED
) -> Queues:
    """The plan's processes under its own load, or under another one."""
    return Queues(
        events_per_second=events_per_second or sized.load.events_per_second,
        lists_per_event=sized.load.lists_per_event,
        partitions=sized.partitions,
        stream_workers=sized.stream_workers,
        rescorers=sized.rescorers,
        redis_shards=sized.redis_shards,
        fold_batch_s=measured.fold_batch_s.value,
        fold_s=1 / measured.fold_events_per_core_s.value,
        score_batch_s=measured.score_batch_s.value,
        score_s=sized.list_us / 1e6,
        trends_s=measured.trends_us_per_event.value / 1e6,
        redis_s=1 / measured.redis_lists_per_core_s.value,
        read_s=measured.read_s.value,
        produce_s=measured.produce_s.value,
        hand_over_s=measured.hand_over_s.value,
        write_s=measured.write_s.value,
    )


class Simulation:
    """One run; `run()` returns the figures."""

    def __init__(self, queues: Queues, seed: int = 1) -> None:
        self._queues = queues
        self._rng = np.random.default_rng(seed)
        self._env = simpy.Environment()
        self._rescore = [_Inbox(self._env) for _ in range(queues.rescorers)]
        self._trends = _Inbox(self._env)
        self._shards = [simpy.Resource(self._env) for _ in range(queues.redis_shards)]
        self._busy = dict.fromkeys(("stream", "rescore", "trends", "redis"), 0.0)
        self._latencies: list[np.ndarray] = []
        self.waits: list[np.ndarray] = []
        self._trends_late: list[np.ndarray] = []
        self._measured_from = 0.0
        self._behind: list[tuple[float, dict[str, int]]] = []
        self._unfolded = 0

    def run(self, seconds: float = 4.0, warm_up_s: float = 1.0) -> dict[str, Any]:
        """Simulate `warm_up_s` unseen, then `seconds`.

        `latency_ms`: from an event's arrival in Kafka to its list in Redis; `queueing_ms`: of it,
        what was spent waiting for a rescorer. `busy`: the share of the time that each kind of
        process works. One that serves what is waiting takes small batches where little waits, and
        is busy long before it is full: whether it keeps up is said by the backlog.
        `backlog_growth_per_s`: by how much more waits with each second, in records; about 0 where
        the process keeps up.
        """
        env, queues = self._env, self._queues
        self._measured_from = warm_up_s
        for number in range(queues.stream_workers):
            env.process(self._fold(number))
        for inbox in self._rescore:
            env.process(self._score(inbox))
        env.process(self._count())
        env.process(self._watch((warm_up_s + seconds) / 40))
        env.run(until=warm_up_s)
        self._busy = dict.fromkeys(self._busy, 0.0)
        env.run(until=warm_up_s + seconds)
        units = {
            "stream": queues.stream_workers,
            "rescore": queues.rescorers,
            "trends": 1,
            "redis": queues.redis_shards,
        }
        return {
            "events_per_second": round(queues.events_per_second),
            "lists": int(sum(len(each) for each in self._latencies)),
            "latency_ms": _quantiles(self._latencies),
            "queueing_ms": _quantiles(self.waits),
            "trends_behind_ms": _quantiles(self._trends_late),
            "busy": {
                name: round(min(1.0, busy / seconds / units[name]), 3)
                for name, busy in self._busy.items()
            },
            "backlog_growth_per_s": self._growth(),
        }

    def _fold(self, number: int) -> Steps:
        """A session worker: what has come since the last look, then its sessions to the rescorers
        that own its shoppers."""
        env, queues, rng = self._env, self._queues, self._rng
        first, last = _share(number, queues.stream_workers, queues.partitions)
        rate = queues.events_per_second * (last - first) / queues.partitions
        looked, waiting = env.now, np.empty(0)
        while True:
            came = rng.poisson(rate * (env.now - looked))
            new = np.sort(rng.uniform(looked, env.now, came))
            if not len(waiting) and not came:
                yield env.timeout(rng.exponential(1 / rate))
                new = np.array([env.now])
            waiting, looked = np.concatenate([waiting, new]), env.now
            batch, waiting = waiting[:_FOLD_BOUND], waiting[_FOLD_BOUND:]
            took = queues.fold_batch_s + queues.fold_s * len(batch)
            self._busy["stream"] += took
            yield env.timeout(took)
            delay = queues.read_s + queues.produce_s
            self._trends.put(batch, env.now + delay)
            lists = batch
            if queues.lists_per_event < 1:
                lists = batch[rng.random(len(batch)) < queues.lists_per_event]
            partitions = rng.integers(first, last, len(lists))
            owners = partitions * queues.rescorers // queues.partitions
            for owner, its in _grouped(owners, lists):
                self._rescore[owner].put(its, env.now + delay + queues.read_s)

    def _score(self, inbox: "_Inbox") -> Steps:
        """A rescorer: what waits, no more than a batch; Redis while the next one is made."""
        env, queues = self._env, self._queues
        while True:
            batch, ready = inbox.take(env.now, queues.batch_bound)
            if not len(batch):
                yield inbox.more()
                continue
            self._note(self.waits, env.now - ready)
            took = queues.score_batch_s + queues.score_s * len(batch)
            self._busy["rescore"] += took
            yield env.timeout(took)
            env.process(self._write(batch))

    def _write(self, batch: np.ndarray) -> Steps:
        env, queues = self._env, self._queues
        yield env.timeout(queues.hand_over_s)
        to = self._rng.integers(0, queues.redis_shards, len(batch))
        for at, its in _grouped(to, batch):
            env.process(self._write_shard(self._shards[at], its))

    def _write_shard(self, shard: simpy.Resource, batch: np.ndarray) -> Steps:
        env, queues = self._env, self._queues
        with shard.request() as turn:
            yield turn
            took = queues.redis_s * len(batch)
            self._busy["redis"] += took
            yield env.timeout(took)
        yield env.timeout(queues.write_s)
        self._note(self._latencies, env.now - batch)

    def _count(self) -> Steps:
        """The trends app: one process, one event after the other."""
        env, queues = self._env, self._queues
        while True:
            batch, _ = self._trends.take(env.now, _FOLD_BOUND)
            if not len(batch):
                yield self._trends.more()
                continue
            took = queues.trends_s * len(batch)
            self._busy["trends"] += took
            yield env.timeout(took)
            self._note(self._trends_late, env.now - batch)

    def _watch(self, every_s: float) -> Steps:
        while True:
            waits = {
                "rescore": sum(len(inbox) for inbox in self._rescore),
                "trends": len(self._trends),
                "redis": sum(len(shard.queue) for shard in self._shards),
            }
            self._behind.append((self._env.now, waits))
            yield self._env.timeout(every_s)

    def _note(self, where: list[np.ndarray], seconds: np.ndarray) -> None:
        if self._env.now >= self._measured_from:
            where.append(seconds)

    def _growth(self) -> dict[str, float]:
        """The slope of a line through what waited, by least squares."""
        seen = [(at, held) for at, held in self._behind if at >= self._measured_from]
        times = np.array([at for at, _ in seen])
        return {
            name: round(float(np.polyfit(times, [held[name] for _, held in seen], 1)[0]), 1)
            for name in seen[0][1]
        }


class _Inbox:
    """What is on its way to a process or waits there, with the moment from which it can be had."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._held: list[tuple[np.ndarray, float]] = []
        self._asleep: simpy.Event | None = None

    def __len__(self) -> int:
        return sum(len(each) for each, _ in self._held)

    def more(self) -> simpy.Event:
        """Happens when there is something to be had; for one process alone."""
        if self._held:
            return self._env.timeout(max(0.0, min(at for _, at in self._held) - self._env.now))
        self._asleep = self._env.event()
        return self._asleep

    def put(self, arrivals: np.ndarray, at: float) -> None:
        """Events by the moment of their arrival in Kafka, to be had from `at` on."""
        self._held.append((arrivals, at))
        if self._asleep is not None:
            self._asleep.succeed()
            self._asleep = None

    def take(self, now: float, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Up to `most` of what is there, the oldest first; and since when each was to be had."""
        taken: list[np.ndarray] = []
        since: list[np.ndarray] = []
        left: list[tuple[np.ndarray, float]] = []
        for arrivals, at in self._held:
            if at > now or most <= 0:
                left.append((arrivals, at))
                continue
            taken.append(arrivals[:most])
            since.append(np.full(len(taken[-1]), at))
            if len(arrivals) > most:
                left.append((arrivals[most:], at))
            most -= len(taken[-1])
        self._held = left
        if not taken:
            return np.empty(0), np.empty(0)
        return np.concatenate(taken), np.concatenate(since)


def _share(member: int, members: int, partitions: int) -> tuple[int, int]:
    """The first of a member's partitions, and the one behind its last.

    >>> _share(0, 2, 12), _share(1, 5, 12)
    ((0, 6), (3, 5))
    """
    return -(-member * partitions // members), -(-(member + 1) * partitions // members)


def _grouped(keys: np.ndarray, values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The values of each key that there is."""
    if len(keys) == 1:
        yield int(keys[0]), values
        return
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], values[order]
    cuts = np.flatnonzero(np.diff(keys)) + 1
    starts = [0, *cuts.tolist()]
    for start, its in zip(starts, np.split(values, cuts), strict=True):
        if len(its):
            yield int(keys[start]), its


def _quantiles(seconds: list[np.ndarray]) -> dict[str, float]:
    """In milliseconds; empty where nothing was seen."""
    if not seconds:
        return {}
    found = np.percentile(np.concatenate(seconds), (50, 99)) * 1000
    return {"p50": round(float(found[0]), 1), "p99": round(float(found[1]), 1)}
