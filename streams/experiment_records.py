"""Impressions and purchases, read from their topics from a time to now."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer

from endcap.errors import InvalidEventError
from endcap.events import MAX_FUTURE_MS, EventType, parse_event
from endcap.experiments import Counting, Experiment, Found, decode_impression
from endcap.streams.clients import started_consumer, unavailable
from endcap.topics import Topics

IDLE_S = 30.0
"""A broker that gives nothing for so long, and has more, is away."""
_POLL_MS = 500
_PURCHASE = EventType.PURCHASE.value.encode()
Advance = Callable[[str, int, int], None]


async def count_experiment(
    bootstrap_servers: str,
    topics: Topics,
    experiment: Experiment,
    now_ms: int,
    advance: Advance = lambda what, done, of: None,
) -> Found:
    """What an experiment's shoppers saw, clicked and bought until now.

    1. All impressions, so that it is known who saw what first.
    2. The purchases of those shoppers.

    Malformed records count nowhere: the event worker makes dead letters of its own. `advance` is
    told of records read, of how many.

    Raises:
        BrokerUnavailableError: no broker answers, or it stopped answering.
    """
    counting = Counting(experiment)
    malformed = 0
    # Both topics are stamped by the broker: a record comes after what it tells of.
    since_ms = experiment.start_ms - MAX_FUTURE_MS
    impressions = read_since(bootstrap_servers, topics.impressions.name, since_ms, advance)
    async for records in impressions:
        for record in records:
            try:
                counting.impression(decode_impression(record.value or b""))
            except (msgspec.DecodeError, UnicodeDecodeError):
                malformed += 1
    async for records in read_since(bootstrap_servers, topics.events.name, since_ms, advance):
        for record in records:
            if record.value is None or _PURCHASE not in record.value:
                continue
            try:
                event = parse_event(record.value, now_ms)
            except InvalidEventError:
                continue
            if event.event_name is EventType.PURCHASE:
                counting.purchase(event.user_id, event.timestamp_ms)
    found = counting.found()
    return found._replace(left_out=found.left_out | ({"malformed": malformed} if malformed else {}))


async def read_since(
    bootstrap_servers: str, topic: str, since_ms: int, advance: Advance
) -> AsyncIterator[Sequence[Any]]:
    """Committed records of a topic, from a time of the broker to where it ends now.

    Nothing where there is no topic.

    Raises:
        BrokerUnavailableError: no broker answers, or it gave nothing for `IDLE_S`.
    """
    reader = await started_consumer(bootstrap_servers, topic, isolation_level="read_committed")
    try:
        start, ends = await _bounds(reader, since_ms)
        done, whole, idle_s = 0, sum(ends.values()) - sum(start.values()), 0.0
        while any([await reader.position(tp) < end for tp, end in ends.items()]):
            found = await reader.getmany(timeout_ms=_POLL_MS)
            for tp, records in found.items():
                # What came after the look at the ends belongs to the next report.
                yield [record for record in records if record.offset < ends[tp]]
                done += len(records)
            idle_s = 0.0 if found else idle_s + _POLL_MS / 1000
            if idle_s >= IDLE_S:
                raise unavailable(bootstrap_servers, TimeoutError())
            advance(topic, min(done, whole), whole)
    finally:
        await reader.stop()


async def _bounds(reader: AIOKafkaConsumer, since_ms: int) -> tuple[dict[Any, int], dict[Any, int]]:
    """Offsets to begin and to end at, by partition; the reader stands at the former."""
    ends: dict[Any, int] = await reader.end_offsets(reader.assignment())
    found = await reader.offsets_for_times(dict.fromkeys(ends, max(0, since_ms)))
    start = {tp: found[tp].offset if found[tp] else end for tp, end in ends.items()}
    for tp, offset in start.items():
        reader.seek(tp, offset)
    return start, ends
