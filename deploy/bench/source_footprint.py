"""What `ingest` and `segments follow` take: the demo's events, told as another system would."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiokafka.admin import NewTopic

from endcap.deploy.bench.endcap_process import Place, endcap_process
from endcap.deploy.bench.watched import sampled
from endcap.deploy.demo_office import office_files
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports, is_open
from endcap.deploy.local_stack.supervised import Child
from endcap.deploy.progress import Bars
from endcap.deploy.prometheus_text import scrape, total
from endcap.deploy.replay import by_shopper, events_of, load_shop
from endcap.errors import EndcapError
from endcap.events import Event, EventType
from endcap.export.basket_events import purchase_event
from endcap.streams.clients import create_topics, started_admin, started_producer, stop_producer
from endcap.streams.topic_states import group_lag
from endcap.topics import topics_with_prefix

_PARTITIONS = 4
_PROCESSES = ("ingest", "stream", "segments follow")
_NAMES = {EventType.ADD_TO_CART: "Product Added", EventType.PURCHASE: "Order Completed"}
_READY_S, _STANDSTILL_S, _BUILD_S = 90.0, 60.0, 900.0
_AT_ONCE = 2_000


def source_footprint(
    baskets: int | None, rate: float, cache_dir: Path | None, bars: Bars
) -> dict[str, Any]:
    """Send the events of the demo's baskets as Segment calls to a topic that `endcap ingest` reads,
    with a session worker and `endcap segments follow` behind it.

    The history at once, what the demo replays at `rate` events a second. `events`: how many; of
    each process what `bench_footprint` says. `stream` is the same process as in the demo, so that
    the two runs can be held against each other.

    Raises:
        EndcapError: a process ended, or nothing moved for a minute.
    """
    shop = load_shop(baskets)
    history = [purchase_event(basket) for basket in by_shopper(shop.history)]
    replayed = [event for basket in shop.held_out for event in events_of(basket)]
    events = len(history) + len(replayed)
    with LocalStack(None, None, cache_dir) as stack, ExitStack() as ending:
        segments = _segments_file(stack.log_dir, cache_dir, bars)
        run = _Run(stack, segments)
        asyncio.run(run.create_topics())
        for child in run.start():
            ending.callback(child.stop)
        with sampled(run.pids) as seen:
            bars.say("Sending what the demo sends, as Segment's calls")
            asyncio.run(run.send(history, None))
            asyncio.run(run.send(replayed, rate))
            bars.say("Waiting until all of it is a session and a segment")
            asyncio.run(run.until_done(events))
        return {
            "events": events,
            "processes": {name: each.figures(events) for name, each in seen.items()},
        }


class _Run:
    """The processes, and what is sent to them."""

    def __init__(self, stack: LocalStack, segments: Path) -> None:
        self._stack = stack
        self._prefix = f"footprint-{uuid4().hex[:8]}"
        self._source = f"{self._prefix}-clicks"
        self._topics = topics_with_prefix(self._prefix)
        self._segments = segments
        self._ports = dict(zip(_PROCESSES, free_ports(len(_PROCESSES)), strict=True))
        self.children: list[Child] = []

    @property
    def pids(self) -> dict[str, int]:
        """By what was started."""
        return {words: child.pid for words, child in zip(_PROCESSES, self.children, strict=True)}

    async def create_topics(self) -> None:
        await create_topics(self._stack.bootstrap_servers, self._topics, _PARTITIONS)
        admin = await started_admin(self._stack.bootstrap_servers)
        try:
            await admin.create_topics([NewTopic(self._source, _PARTITIONS, 1)])
        finally:
            await admin.close()

    def start(self) -> Sequence[Child]:
        """Returns when each one's metrics answer."""
        more = {
            "ENDCAP_REDIS_URL": self._stack.redis_url,
            "ENDCAP_SOURCES": json.dumps({"web": {"topic": self._source, "adapter": "segment"}}),
            "ENDCAP_SEGMENTS_FILE": str(self._segments),
        }
        for words, port in self._ports.items():
            folder = self._stack.log_dir / words.replace(" ", "-")
            place = Place(self._stack.bootstrap_servers, self._prefix, folder, port)
            self.children.append(endcap_process(words, place, folder.with_suffix(".log"), more))
        for child, port in zip(self.children, self._ports.values(), strict=True):
            child.wait_until(lambda port=port: is_open(port), _READY_S)  # type: ignore[misc]
        return self.children

    async def send(self, events: Iterable[Event], rate: float | None) -> None:
        """At `rate` a second, or as fast as the broker takes them."""
        producer = await started_producer(self._stack.bootstrap_servers)
        began, waiting = time.perf_counter(), list[Awaitable[Any]]()
        try:
            for number, event in enumerate(events):
                if rate and (early_s := number / rate - (time.perf_counter() - began)) > 0.02:
                    await asyncio.sleep(early_s)
                key = event.user_id.encode()
                waiting.append(await producer.send(self._source, segment_call(event), key))
                if len(waiting) == _AT_ONCE:
                    await asyncio.gather(*waiting)
                    waiting.clear()
            await asyncio.gather(*waiting)
        finally:
            await stop_producer(producer)

    async def until_done(self, events: int) -> None:
        """Everything is translated, folded, and of every session a segment is made."""

        def folded() -> float:
            sent = total(
                scrape(self._ports["ingest"]), "endcap_ingest_records_total", {"outcome": "sent"}
            )
            return min(sent, total(scrape(self._ports["stream"]), "endcap_events_total"))

        await self._until(lambda: asyncio.to_thread(folded), lambda done: done >= events)

        async def unread() -> float:
            lag = await group_lag(
                self._stack.bootstrap_servers,
                f"{self._prefix}-segments",
                self._topics.sessions.name,
            )
            return lag.records

        await self._until(unread, lambda records: records <= _PARTITIONS)

    async def _until(
        self, look: Callable[[], Awaitable[float]], reached: Callable[[float], bool]
    ) -> None:
        last, moved = -1.0, time.monotonic()
        while not reached(now := await look()):
            for child in self.children:
                child.check()
            if now != last:
                last, moved = now, time.monotonic()
            if time.monotonic() - moved > _STANDSTILL_S:
                raise EndcapError(
                    f"Nothing moved for {_STANDSTILL_S:.0f} s, at {now:.0f}; the logs are in "
                    f"{self._stack.log_dir}."
                )
            await asyncio.sleep(0.1)


def segment_call(event: Event) -> bytes:
    """A `track` call of Segment's specification that the adapter makes this event of."""
    when = datetime.fromtimestamp(event.timestamp_ms / 1000, UTC)
    products = [
        {"product_id": item.item_id, "price": item.price, "quantity": item.quantity}
        for item in event.items
    ]
    return json.dumps(
        {
            "type": "track",
            "event": _NAMES[event.event_name],
            "messageId": event.event_id,
            "userId": event.user_id,
            "timestamp": when.isoformat(),
            "properties": {"order_id": event.transaction_id, "products": products},
        }
    ).encode()


def _segments_file(log_dir: Path, cache_dir: Path | None, bars: Bars) -> Path:
    """What the demo's office has learned, or learned here for this run: about a minute."""
    held = office_files(cache_dir).segments
    if held.is_file():
        return held
    bars.say("Learning segments from Complete Journey")
    made = log_dir / "segments.json"
    place = Place("", "endcap", log_dir, 0)
    words = f"segments build --out {made}"
    child = endcap_process(words, place, log_dir / "segments-build.log", name="segments build")
    child.wait_for_success(_BUILD_S)
    return made
