"""Where a worker begins that has committed nothing yet."""

import asyncio
from uuid import uuid4

import pytest
from stream_topics import send_events, sessions_in

from endcap.deploy.local_stack import LocalStack
from endcap.deploy.settings import load_settings
from endcap.errors import SettingsError
from endcap.events import Event, EventType
from endcap.streams.clients import create_topics, read_whole
from endcap.streams.folded_batch import FoldedBatch
from endcap.streams.owned_partition import Place
from endcap.streams.session_worker import SessionWorker
from endcap.streams.start import Start
from endcap.topics import Topic, topics_with_prefix


class Until(SessionWorker):
    """Stops when it has folded an event of this shopper."""

    def __init__(self, place: Place, user_id: str) -> None:
        super().__init__(place)
        self._user_id = user_id

    def handled(self, batch: FoldedBatch) -> None:
        super().handled(batch)
        if self._user_id in batch.snapshots:
            self.stop()


def event(user: str) -> Event:
    return Event(
        event_id=user, user_id=user, event_name=EventType.SEARCH, timestamp_ms=1_700_000_000_000
    )


@pytest.mark.integration
async def test_a_new_group_begins_where_it_is_told(stack: LocalStack) -> None:
    topics = topics_with_prefix(f"t{uuid4().hex[:8]}")
    await create_topics(stack.bootstrap_servers, topics, 1)
    await send_events(stack.bootstrap_servers, topics, [event("ann")])
    await send_events(stack.bootstrap_servers, topics, [event("ben")])
    stamps = [r.timestamp async for r in read_whole(stack.bootstrap_servers, topics.events.name)]
    assert stamps[0] < stamps[1], "a producer's start takes longer than the broker's millisecond"
    starts = {
        "earliest": (Start(), {"ann", "ben"}),
        "since": (Start(since_ms=stamps[1]), {"ben"}),
    }
    for name, (start, expected) in starts.items():
        own = topics._replace(sessions=Topic(f"{topics.sessions.name}-{name}", compacted=True))
        await create_topics(stack.bootstrap_servers, own, 1)
        place = Place(stack.bootstrap_servers, own, f"{topics.events.name}-{name}", start=start)
        await asyncio.wait_for(Until(place, "ben").run(), 60)
        assert set(await sessions_in(stack.bootstrap_servers, own)) == expected


def test_a_start_that_is_no_time_is_named() -> None:
    with pytest.raises(SettingsError, match="start_from is 'yesterday'"):
        load_settings(start_from="yesterday")
    assert load_settings(start_from="2026-11-24T06:00").start_from == "2026-11-24T06:00"
