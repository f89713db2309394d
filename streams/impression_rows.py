"""The topic of impressions as rows, each item shown once, for estimates of what another ranker
would have got (`endcap evaluate --impressions`)."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import xxhash

from endcap.experiments import Impression, decode_impression
from endcap.streams.topic_since import Advance, TopicSince
from endcap.topics import Topics


async def impression_rows(
    bootstrap_servers: str, topics: Topics, since_ms: int, advance: Advance
) -> AsyncIterator[dict[str, Any]]:
    """A row for each item shown since a time of the broker: `user_id`, `item_id`, `position`,
    `shown_at` (Unix milliseconds), `clicked`, `propensity` (None where the page sent none).

    1. All clicks: a showing is told with what came of it.
    2. The showings, each once.

    Raises:
        BrokerUnavailableError: no broker answers, or it stopped answering.
    """
    name = topics.impressions.name
    clicked: set[int] = set()
    async for record in _impressions(bootstrap_servers, name, since_ms, advance):
        if record.kind == "clicked":
            clicked |= {_digest(record, item.id) for item in record.items}
    told, times = set[int](), set[tuple[str, int]]()
    async for record in _impressions(bootstrap_servers, name, since_ms, advance):
        showing = _digest(record)
        if record.kind == "clicked" or showing in told:
            continue
        told.add(showing)
        # Rows of one shopper and one time are one list: two strips of a page are two.
        shown_at = record.timestamp_ms
        while (record.user_id, shown_at) in times:
            shown_at += 1
        times.add((record.user_id, shown_at))
        chances = record.propensity or (None,) * len(record.items)
        for item, chance in zip(record.items, chances, strict=False):
            yield {
                "user_id": record.user_id,
                "item_id": item.id,
                "position": item.position,
                "shown_at": shown_at,
                "clicked": _digest(record, item.id) in clicked,
                "propensity": chance,
            }


async def _impressions(
    bootstrap_servers: str, topic: str, since_ms: int, advance: Advance
) -> AsyncIterator[Impression]:
    async for records in TopicSince(bootstrap_servers, topic, since_ms, advance).read():
        for record in records:
            try:
                yield decode_impression(record.value or b"")
            except msgspec.DecodeError:
                continue


def _digest(record: Impression, item_id: str = "") -> int:
    return xxhash.xxh3_64_intdigest(f"{record.user_id}\0{record.impression_id}\0{item_id}".encode())
