"""Clickstreams for benchmarks: made here, the same for every run, shaped like a real shop's."""

import asyncio
import heapq
import random
from collections.abc import Awaitable, Iterator
from typing import Any

from endcap.deploy.progress import Bars
from endcap.events import Event, EventItem, EventType, encode_event
from endcap.streams.clients import started_producer, stop_producer
from endcap.topics import Topic

EVENTS_A_VISIT = 3.44
"""REES46, 1 October 2019, the first 17,434 events: 5,066 visits of 4,504 shoppers, of which .978
views, .009 carts and .012 purchases (https://rees46.com/en/datasets)."""
VISITS_A_SHOPPER = 1.12
_GAP_S = 40.0
_KINDS = (EventType.VIEW_ITEM, EventType.ADD_TO_CART, EventType.PURCHASE)
_SHARES = (0.979, 0.009, 0.012)
_AT_ONCE = 5_000


def clickstream(
    events: int, events_per_s: float = 50.0, seed: int = 1, items: int = 20_000
) -> Iterator[Event]:
    """Events in time order, of a shop with `events_per_s` in event time (50: 4.3 million a day).

    Visits begin at random; each has a geometric number of events with exponential gaps of
    `_GAP_S` in the mean. Items follow a power law.
    """
    rng = random.Random(seed)  # noqa: S311 - a workload, not a secret
    shoppers = max(1, round(events / EVENTS_A_VISIT / VISITS_A_SHOPPER))
    starts_a_ms = events_per_s / EVENTS_A_VISIT / 1000
    now_ms = 1_700_000_000_000.0
    upcoming: list[tuple[float, int, str]] = []
    next_start = now_ms
    for number in range(events):
        while not upcoming or next_start <= upcoming[0][0]:
            heapq.heappush(upcoming, (next_start, number, f"shopper-{rng.randrange(shoppers)}"))
            next_start += rng.expovariate(starts_a_ms)
        when, _, user_id = heapq.heappop(upcoming)
        if rng.random() > 1 / EVENTS_A_VISIT:
            gap_ms = rng.expovariate(1 / (_GAP_S * 1000))
            heapq.heappush(upcoming, (when + gap_ms, number, user_id))
        kind = rng.choices(_KINDS, _SHARES)[0]
        item = f"item-{min(int(rng.paretovariate(0.8)), items)}"
        yield Event(
            event_id=f"{seed}-{number}",
            user_id=user_id,
            event_name=kind,
            timestamp_ms=int(when),
            transaction_id=f"t{number}" if kind is EventType.PURCHASE else None,
            items=(EventItem(item, 9.9),),
        )


async def send_clickstream(bootstrap_servers: str, topic: Topic, events: int, bars: Bars) -> float:
    """So many events of a clickstream into a topic, keyed by shopper; the mean size of one's JSON
    in bytes.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    producer = await started_producer(bootstrap_servers)
    bytes_sent, waiting = 0, list[Awaitable[Any]]()
    try:
        for number, event in enumerate(clickstream(events), start=1):
            raw = encode_event(event)
            bytes_sent += len(raw)
            waiting.append(await producer.send(topic.name, raw, event.user_id.encode()))
            if len(waiting) == _AT_ONCE or number == events:
                await asyncio.gather(*waiting)
                waiting.clear()
                bars.advance("Events into Kafka", number, events)
    finally:
        await stop_producer(producer)
    return bytes_sent / events
