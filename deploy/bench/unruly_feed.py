"""What shoppers send: out of order, some of it twice, and logins on devices that change hands."""

import asyncio
import heapq
import random
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from endcap.events import Event, EventItem, EventType, encode_event, home_of

SHOPPERS = 400
DEVICES = 40
PEOPLE = 80
"""Who logs in on the devices, now one, now another."""
_LATENESS_MS = 60_000
_STARTED_MS = 1_700_000_000_000.0
_KINDS = (
    EventType.VIEW_ITEM,
    EventType.ADD_TO_CART,
    EventType.REMOVE_FROM_CART,
    EventType.PURCHASE,
    EventType.SEARCH,
)


class UnrulyFeed:
    """Events at a steady rate: each up to half the lateness out of order, one in ten repeated."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        rng: random.Random,
        events_per_s: int,
        item_of: Callable[[int], str] = "i{}".format,
    ) -> None:
        """`item_of`: the item of a number; each number comes once, and once more in carts."""
        self.events: list[Event] = []
        self.records = 0
        self._producer = producer
        self._topic = topic
        self._rng = rng
        self._events_per_s = events_per_s
        self._item_of = item_of
        self._now_ms = _STARTED_MS
        self._stopping = False
        self._waiting: list[_Due] = []
        self._orders = count()
        self._logged_in: dict[str, float] = {}

    def stop(self) -> None:
        """Send what is still waiting, then end."""
        self._stopping = True

    async def act(self, user_id: str, item_id: str) -> Awaitable[Any]:
        """One more event, at once and in order, of somebody whom this feed does not know."""
        event = Event(
            event_id=f"{user_id}-{len(self.events)}",
            user_id=user_id,
            event_name=EventType.VIEW_ITEM,
            timestamp_ms=int(self._now_ms),
            items=(EventItem(item_id),),
        )
        self.events.append(event)
        self.records += 1
        return await self._sent(event)

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
            now_ms = self._now_ms = _STARTED_MS + number * step_ms
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
        item = self._item_of(number - self._rng.choice((0, 400)))
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


class _Due(NamedTuple):
    at_ms: float
    order: int
    event: Event
