"""Real shoppers' events at a steady rate, many shoppers at once, each act a moment apart."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from endcap.deploy.replay import events_of
from endcap.events import Event
from endcap.export.basket_events import Basket
from endcap.lists import rec_key
from endcap.streams.event_producer import EventProducer

AT_ONCE = 500
"""Shoppers in the shop: at 1,000 events/s each acts twice a second, where a hurried one would."""


class Sent(NamedTuple):
    """An event that is due in the list at `key` from `version` on. Times in Unix nanoseconds:
    when it was to be sent, when it was handed to the producer, the broker's stamp."""

    key: str
    version: int
    due_ns: int
    sent_ns: int
    stamp_ns: int


class ShopHours:
    """Baskets one after the other, `AT_ONCE` of them filled side by side, no shopper twice."""

    def __init__(self, baskets: Iterable[Basket], folded: Counter[str]) -> None:
        """`folded`: how many events of each shopper are in the sessions already."""
        self._events = side_by_side(baskets, AT_ONCE)
        self._folded = folded

    async def send(self, producer: EventProducer, rate: float, seconds: float) -> list[Sent]:
        """At `rate` a second, each at its own time: one that is late waits for nobody's answer."""
        start_ns = time.time_ns() + 50_000_000
        gap_ns = 1e9 / rate
        waiting = []
        for number, event in enumerate(islice(self._events, round(rate * seconds))):
            due_ns = start_ns + int(number * gap_ns)
            if (ahead_ns := due_ns - time.time_ns()) > 0:
                await asyncio.sleep(ahead_ns / 1e9)
            self._folded[event.user_id] += 1
            now_ns = time.time_ns()
            acknowledged = await producer.enqueue(event)
            told = rec_key(event.user_id), self._folded[event.user_id], due_ns, now_ns
            waiting.append((told, acknowledged))
        return [
            Sent(*told, (await acknowledged).timestamp * 1_000_000)
            for told, acknowledged in waiting
        ]


def side_by_side(baskets: Iterable[Basket], at_once: int) -> Iterator[Event]:
    """One event of each open basket in turn; a shopper's next basket waits for the one before."""
    coming = iter(baskets)
    later: deque[Basket] = deque()
    open_now: deque[tuple[str, Iterator[Event]]] = deque()
    shopping: set[str] = set()

    def enter(basket: Basket) -> None:
        shopping.add(basket.user_id)
        open_now.append((basket.user_id, iter(events_of(basket))))

    while True:
        for _ in range(len(later)):
            basket = later.popleft()
            if basket.user_id in shopping or len(open_now) >= at_once:
                later.append(basket)
            else:
                enter(basket)
        while len(open_now) < at_once and (next_basket := next(coming, None)) is not None:
            if next_basket.user_id in shopping:
                later.append(next_basket)
            else:
                enter(next_basket)
        if not open_now:
            return
        for _ in range(len(open_now)):
            user_id, events = open_now.popleft()
            event = next(events, None)
            if event is None:
                shopping.discard(user_id)
            else:
                open_now.append((user_id, events))
                yield event


def milliseconds_to_list(
    sent: Sequence[Sent], seen: Iterable[tuple[str, int, int]]
) -> tuple[list[float], int]:
    """From when each event was due until its list was readable; and how many never were."""
    writes: dict[str, list[tuple[int, int]]] = {}
    for key, version, when_ns in seen:
        writes.setdefault(key, []).append((version, when_ns))
    found: list[float] = []
    for each in sent:
        first = min(
            (when for version, when in writes.get(each.key, ()) if version >= each.version),
            default=None,
        )
        if first is not None:
            found.append((first - each.due_ns) / 1e6)
    return found, len(sent) - len(found)
