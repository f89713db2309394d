"""A login while its workers die, at each step: the person has the device's session, once."""

from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import TopicPartition
from stream_topics import send_events, sessions_in

from endcap.deploy.local_stack import LocalStack
from endcap.events import Event, EventItem, EventType
from endcap.sessions import fold_all
from endcap.streams.clients import (
    create_topics,
    started_consumer,
)
from endcap.streams.folded_batch import Partition
from endcap.streams.owned_partition import OwnedPartition, Place
from endcap.streams.session_store import MemorySessions
from endcap.topics import topics_with_prefix

_PARTITIONS = 2
_STEPS = ("begin_transaction", "send_batch", "send", "send_offsets_to_transaction")
"""What a fold asks of its producer. A crash comes before or after each, and before the commit."""
_CRASHES = [
    *((step, is_after) for step in _STEPS for is_after in (False, True)),
    ("commit_transaction", False),
    ("commit_transaction", True),
]


class CrashError(Exception):
    """The process is gone."""


class _Crashing:
    """A real producer whose process dies at one call."""

    def __init__(self, producer: Any, step: str, is_after: bool) -> None:
        self._producer = producer
        self._step = step
        self._is_after = is_after
        self.has_crashed = False

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._producer, name)
        return self._crash(call) if name == self._step else call

    def _crash(self, call: Callable[..., Any]) -> Any:
        async def crashing(*args: Any, **kwargs: Any) -> Any:
            if self._is_after:
                await call(*args, **kwargs)
            self.has_crashed = True
            raise CrashError

        return crashing


@pytest.mark.parametrize("dies", ["the device's worker", "the person's worker"])
async def test_a_login_survives_a_crash_at_each_step(stack: LocalStack, dies: str) -> None:
    topics = topics_with_prefix("login-" + dies.replace(" ", "-").replace("'", ""))
    await create_topics(stack.bootstrap_servers, topics, _PARTITIONS)
    place = Place(stack.bootstrap_servers, topics, topics.events.name + "-stream")
    events: list[Event] = []
    for number, (step, is_after) in enumerate(_CRASHES):
        device, person = _apart(number)
        events += (visit := _visit(device, person))
        await send_events(stack.bootstrap_servers, topics, visit)
        home = Partition(0, _PARTITIONS).of(device)
        crash = (step, is_after)
        # The device's partition first: its parcel is the other's work.
        found = [
            await _work(place, home, crash if dies == "the device's worker" else None),
            await _work(place, 1 - home, crash if dies == "the person's worker" else None),
        ]
        assert any(found), crash
    sessions = await sessions_in(stack.bootstrap_servers, topics)
    plain = fold_all(events)
    for user_id, expected in plain.items():
        assert sessions[user_id] == expected
    devices = sessions.keys() - plain.keys()
    assert len(devices) == len(_CRASHES)
    assert not any(sessions[device].history for device in devices)


async def _work(place: Place, number: int, crash: tuple[str, bool] | None) -> bool:
    """Fold all that is there for one partition; with a crash, a successor does. Had it one?"""
    owned = await OwnedPartition.acquire(place, Partition(number, _PARTITIONS), MemorySessions())
    try:
        if crash:
            owned._producer = crashing = _Crashing(owned._producer, *crash)
            try:
                await _fold_what_is_there(place, number, owned)
            except CrashError:
                assert not await _work(place, number, None)
            return crashing.has_crashed
        await _fold_what_is_there(place, number, owned)
        return False
    finally:
        await owned.release()


async def _fold_what_is_there(place: Place, number: int, owned: OwnedPartition) -> None:
    topics = place.topics
    consumer = await started_consumer(
        place.bootstrap_servers, group_id=place.group_id, isolation_level="read_committed"
    )
    sources = [TopicPartition(t.name, number) for t in (topics.events, topics.handovers)]
    try:
        consumer.assign(sources)
        for source, end in (await consumer.end_offsets(sources)).items():
            consumer.seek(source, await consumer.committed(source) or 0)
            while await consumer.position(source) < end:
                found = await consumer.getmany(source, timeout_ms=200)
                if found:
                    await owned.fold(found)
    finally:
        await consumer.stop()


def _apart(number: int) -> tuple[str, str]:
    """A device and a person whose sessions live in different partitions."""
    device = f"device-{number}"
    home = Partition(0, _PARTITIONS).of
    return device, next(
        person
        for person in (f"person-{number}-{n}" for n in range(100))
        if home(person) != home(device)
    )


def _visit(device: str, person: str) -> list[Event]:
    def event(at: int, user_id: str, name: EventType, **more: Any) -> Event:
        return Event(
            event_id=f"{device}-{at}",
            user_id=user_id,
            event_name=name,
            timestamp_ms=1_700_000_000_000 + at,
            **more,
        )

    return [
        event(1, person, EventType.VIEW_ITEM, items=(EventItem("milk"),)),
        event(2, device, EventType.ADD_TO_CART, items=(EventItem("bread"),)),
        event(3, device, EventType.VIEW_ITEM, items=(EventItem("jam"),)),
        event(4, person, EventType.IDENTIFY, anonymous_id=device),
        event(5, person, EventType.VIEW_ITEM, items=(EventItem("tea"),)),
    ]
