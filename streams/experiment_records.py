"""Impressions and purchases, read from their topics from a time to now."""

import msgspec

from endcap.errors import InvalidEventError
from endcap.events import MAX_FUTURE_MS, EventType, parse_event
from endcap.experiments import Counting, Experiment, Found, decode_impression
from endcap.streams.topic_since import Advance, TopicSince
from endcap.topics import Topics

_PURCHASE = EventType.PURCHASE.value.encode()


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
    shown = TopicSince(bootstrap_servers, topics.impressions.name, since_ms, advance)
    async for records in shown.read():
        for record in records:
            try:
                counting.impression(decode_impression(record.value or b""))
            except msgspec.DecodeError:
                malformed += 1
    acts = TopicSince(bootstrap_servers, topics.events.name, since_ms, advance)
    async for records in acts.read():
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
    left_out = found.left_out | ({"malformed": malformed} if malformed else {})
    return found._replace(left_out=left_out, is_whole=shown.is_whole and acts.is_whole)
