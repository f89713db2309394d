"""Workers killed, frozen and moved, a broker killed, input shuffled and repeated: what is left?

While events flow, one fault after the other happens to a real broker and real worker processes.
At the end the sessions topic is compared, shopper by shopper, with the plain fold of all events.
"""

import asyncio
import heapq
import os
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from msgspec import structs

from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports, is_open
from endcap.deploy.local_stack.supervised import Child
from endcap.deploy.progress import Bars
from endcap.deploy.prometheus_text import scrape, total
from endcap.errors import EndcapError
from endcap.events import Event, EventItem, EventType, encode_event, home_of
from endcap.sessions import Session, fold_all
from endcap.streams.clients import (
    create_topics,
    read_whole,
    started_consumer,
    started_producer,
    stop_producer,
)
from endcap.streams.item_deltas import COUNTED, decode_deltas
from endcap.timeline import Snapshot, decode_snapshot
from endcap.topics import topics_with_prefix

PARTITIONS = 4
WORKERS = 2
EVENTS_PER_S = 1_500
SHOPPERS = 400
DEVICES = 40
PEOPLE = 80
"""Who logs in on the devices, now one, now another."""
SESSION_TIMEOUT_S = 2
DEFAULT_PLAN = {"kill": 20, "freeze": 24, "broker": 4, "rebalance": 8, "repeats": 8}
_LATENESS_MS = 60_000
_DOWN_S = 5.0
_RECOVER_S = 120.0
_READY_S = 60.0
_NOTHING: Mapping[str, str] = {}
_KINDS = (
    EventType.VIEW_ITEM,
    EventType.ADD_TO_CART,
    EventType.REMOVE_FROM_CART,
    EventType.PURCHASE,
    EventType.SEARCH,
)


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


class Servers(Protocol):
    """A broker or several, and a folder for the logs of what works with them."""

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, with commas between several."""
        ...

    @property
    def log_dir(self) -> Path:
        """It is there."""
        ...


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
            self._watch = await started_consumer(bootstrap, group_id=f"{self._prefix}-stream")
            closing.push_async_callback(self._watch.stop)
            producer = await started_producer(bootstrap)
            closing.push_async_callback(stop_producer, producer)
            self._feed = _Feed(producer, self._topics.events.name, self._rng, self.events_per_s)
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
            await self._recovered(await self._parcels())
        found = await self._compare()
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

    async def _new_worker(self) -> "StreamProcess":
        return await asyncio.to_thread(
            StreamProcess, self._stack, self._prefix, next(self._numbers)
        )

    async def _stop_workers(self) -> None:
        for worker in self._workers:
            await asyncio.to_thread(worker.child.stop, 30.0)

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, partition) for partition in range(PARTITIONS)]

    async def _ends(self) -> dict[TopicPartition, int]:
        ends: dict[TopicPartition, int] = await self._watch.end_offsets(
            self._partitions(self._topics.events.name)
        )
        return ends

    async def _parcels(self) -> dict[TopicPartition, int]:
        """Behind the last parcel of each partition: what follows it are Kafka's own marks."""
        ends: dict[TopicPartition, int] = {}
        topic = self._topics.handovers.name
        async for record in read_whole(self._stack.bootstrap_servers, topic):
            if record.value is not None:
                ends[TopicPartition(topic, record.partition)] = record.offset + 1
        return ends

    async def _recovered(self, ends: dict[TopicPartition, int]) -> None:
        """Returns when the group has committed up to `ends`."""
        deadline = time.monotonic() + _RECOVER_S
        behind = dict(ends)
        while behind:
            for worker in self._workers:
                worker.child.check()
            if time.monotonic() > deadline:
                raise EndcapError(
                    f"After {_RECOVER_S:.0f} s {behind} were still not committed; the workers' "
                    f"logs are in {self._stack.log_dir}."
                )
            for tp in list(behind):
                try:
                    committed = await asyncio.wait_for(self._watch.committed(tp), 5.0)
                except (KafkaError, TimeoutError):
                    continue
                if (committed or 0) >= behind[tp]:
                    del behind[tp]
            await asyncio.sleep(0.05)

    async def _compare(self) -> dict[str, int]:
        """The sessions topic and the item deltas against the plain fold."""
        self._bars.say("Comparing every session with the plain fold")
        bootstrap = self._stack.bootstrap_servers
        sessions: dict[str, Snapshot] = {}
        async for record in read_whole(bootstrap, self._topics.sessions.name):
            sessions[record.key.decode()] = decode_snapshot(record.value)
        counted: Counter[tuple[int, int]] = Counter()
        async for record in read_whole(bootstrap, self._topics.item_deltas.name):
            counted.update(
                (d.source_partition, d.source_offset) for d in decode_deltas(record.value)
            )
        expected = fold_all(self._feed.events)
        lost = doubled = out_of_order = 0
        for user_id in expected.keys() | sessions.keys():
            plain = expected.get(user_id, Session(user_id))
            found = _without_what_left(sessions.get(user_id), user_id)
            missing = plain.events_folded - found.events_folded
            lost += max(0, missing)
            doubled += max(0, -missing)
            out_of_order += missing == 0 and _told(found) != _told(plain)
        demand = sum(event.event_name.code in COUNTED for event in self._feed.events)
        return {
            "lost": lost,
            "doubled": doubled,
            "out_of_order": out_of_order,
            "shoppers": len(expected),
            "unique_events": len(self._feed.events),
            "logins": sum(event.anonymous_id is not None for event in self._feed.events),
            "deltas_lost": max(0, demand - len(counted)),
            "deltas_doubled": counted.total() - len(counted),
        }


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


def _without_what_left(snapshot: Snapshot | None, user_id: str) -> Session:
    """The session, where a device's count is of the events that are still its own."""
    if snapshot is None:
        return Session(user_id)
    session, links = snapshot.session, snapshot.timeline.links
    left = links.left if links else 0
    return structs.replace(session, events_folded=session.events_folded - left)


def _told(session: Session) -> object:
    """What the session says, but for the last digits of sums that were made in another order."""
    purchased = [structs.replace(p, decayed=round(p.decayed, 6)) for p in session.purchased]
    return session.interactions, session.carted, purchased


class StreamProcess:
    """`endcap stream` in a process of its own, as an operator would run it."""

    def __init__(
        self, stack: Servers, prefix: str, number: int, more: Mapping[str, str] = _NOTHING
    ) -> None:
        """`more`: settings beside these, by their names in the environment."""
        (self._port,) = free_ports(1)
        self.child = Child(
            f"endcap stream {number}",
            [sys.executable, "-m", "endcap.deploy.cli", "stream"],
            stack.log_dir / f"stream-{number}.log",
            os.environ
            | {
                "ENDCAP_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
                "ENDCAP_TOPIC_PREFIX": prefix,
                "ENDCAP_SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
                "ENDCAP_METRICS_PORT": str(self._port),
                "ENDCAP_DATA_DIR": str(stack.log_dir / f"stream-{number}"),
                **more,
            },
        )
        self.child.wait_until(lambda: is_open(self._port), _READY_S)

    def count(self, metric: str) -> int:
        """What one of its counters says."""
        return int(total(scrape(self._port), metric))

    def fenced(self) -> int:
        """How often it was refused so far."""
        return self.count("endcap_stream_fenced_total")


class _Due(NamedTuple):
    at_ms: float
    order: int
    event: Event


class _Feed:
    """Events at a steady rate: each up to half the lateness out of order, one in ten repeated."""

    def __init__(
        self, producer: AIOKafkaProducer, topic: str, rng: random.Random, events_per_s: int
    ) -> None:
        self.events: list[Event] = []
        self.records = 0
        self._producer = producer
        self._topic = topic
        self._rng = rng
        self._events_per_s = events_per_s
        self._stopping = False
        self._waiting: list[_Due] = []
        self._orders = count()
        self._logged_in: dict[str, float] = {}

    def stop(self) -> None:
        """Send what is still waiting, then end."""
        self._stopping = True

    def repeat(self, newest: int = 3_000) -> None:
        """A client's retry storm: the newest events once more, in any order.

        Of the logins those that have been sent: two people's on one device stay in their order.
        """
        waiting = {id(due.event) for due in self._waiting}
        for event in self._rng.sample(self.events[-newest:], min(newest, len(self.events))):
            if event.anonymous_id is None or id(event) not in waiting:
                self._push(0.0, event)

    async def run(self) -> None:
        """Until stopped. A broker that is away is waited for: nothing is given up."""
        step_ms = 1000 / 50  # of event time, between two events
        sent: list[Awaitable[Any]] = []
        started = time.monotonic()
        for number in count():
            if self._stopping:
                break
            now_ms = 1_700_000_000_000 + number * step_ms
            self._make(number, now_ms)
            sent += await self._send_due(now_ms)
            if number % 100 == 0:
                if len(sent) > 2_000:
                    await asyncio.gather(*sent)
                    sent.clear()
                due = started + number / self._events_per_s
                await asyncio.sleep(max(0.0, due - time.monotonic()))
        sent += await self._send_due(float("inf"))
        await asyncio.gather(*sent)

    def _make(self, number: int, now_ms: float) -> None:
        drawn = self._rng.random()
        if drawn < 0.01:
            self._log_in(number, now_ms)
            return
        if drawn < 0.15:
            who = self._rng.choice((f"d{number % DEVICES}", f"p{number % PEOPLE}"))
        else:
            who = f"u{self._rng.randrange(SHOPPERS)}"
        # Something carted before, now and then; else an item of its own.
        item = f"i{number - self._rng.choice((0, 400))}"
        event = Event(
            event_id=f"e{number}",
            user_id=who,
            event_name=self._rng.choice(_KINDS),
            timestamp_ms=int(now_ms),
            transaction_id=f"t{number}",
            items=(EventItem(item),),
        )
        self.events.append(event)
        for _ in range(2 if self._rng.random() < 0.1 else 1):
            self._push(now_ms + self._rng.uniform(0, _LATENESS_MS / 2), event)

    def _log_in(self, number: int, now_ms: float) -> None:
        """Out of order with everything but the logins of the same device."""
        device = f"d{self._rng.randrange(DEVICES)}"
        event = Event(
            event_id=f"e{number}",
            user_id=f"p{self._rng.randrange(PEOPLE)}",
            event_name=EventType.IDENTIFY,
            timestamp_ms=int(now_ms),
            anonymous_id=device,
        )
        self.events.append(event)
        at_ms = now_ms + self._rng.uniform(0, _LATENESS_MS / 2)
        self._logged_in[device] = max(at_ms, self._logged_in.get(device, 0.0))
        self._push(self._logged_in[device], event)

    def _push(self, at_ms: float, event: Event) -> None:
        heapq.heappush(self._waiting, _Due(at_ms, next(self._orders), event))

    async def _send_due(self, now_ms: float) -> list[Awaitable[Any]]:
        sent = []
        while self._waiting and self._waiting[0].at_ms <= now_ms:
            event = heapq.heappop(self._waiting).event
            sent.append(await self._sent(event))
            self.records += 1
        return sent

    async def _sent(self, event: Event) -> Awaitable[Any]:
        while True:
            try:
                accepted: Awaitable[Any] = await self._producer.send(
                    self._topic, encode_event(event), home_of(event).encode()
                )
            except KafkaError:  # its buffer is full while the broker is away
                await asyncio.sleep(0.2)
            else:
                return accepted
