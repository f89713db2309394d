"""A person asks to be forgotten: afterwards nothing on any topic and in no store names them."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from command_line import ENDCAP, endcap, endcap_json, settings_for
from stream_topics import sessions_in, until_committed

from endcap.deploy.bench.stream_process import StreamProcess
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports, is_open
from endcap.deploy.local_stack.supervised import Child
from endcap.events import Event, EventItem, EventType
from endcap.lists import rec_key
from endcap.streams.clients import (
    create_topics,
    read_whole,
    started_admin,
    started_producer,
    stop_producer,
)
from endcap.streams.contact_records import CampaignRecord, planned_contacts, send_contacts
from endcap.streams.disk_sessions import DiskSessions
from endcap.streams.event_producer import EventProducer
from endcap.streams.folded_batch import Partition
from endcap.topics import topics_with_prefix

_PREFIX = "erasure"
_PARTITIONS = 2
_HOME = Partition(0, _PARTITIONS)
_START_MS = 1_700_000_000_000
ANN, BEN = "ann-4711", "ben-0815"
PHONE = next(d for d in (f"phone-{n}" for n in range(99)) if _HOME.of(d) != _HOME.of(ANN))
TOPICS = topics_with_prefix(_PREFIX)
CONTACTS = [
    CampaignRecord(f"{name}:{user}", name, user, is_held_out, 2.5, 0.5, _START_MS)
    for name, user, is_held_out in (
        ("winter", ANN, True),
        ("spring", ANN, False),
        ("winter", BEN, False),
    )
]


@pytest.mark.timeout(240)
async def test_who_is_erased_is_named_nowhere_and_does_not_come_back(stack: LocalStack) -> None:
    bootstrap = stack.bootstrap_servers
    await create_topics(bootstrap, TOPICS, _PARTITIONS)
    client = redis.Redis.from_url(stack.redis_url)
    settings = settings_for(stack, _PREFIX)
    with _processes(stack) as data_dir:
        await _send(bootstrap, _visits())
        assert await send_contacts(bootstrap, TOPICS, CONTACTS) == 3
        await _handed_over(bootstrap)
        await _until(lambda: client.exists(rec_key(ANN)) and client.exists(rec_key(BEN)))
        shown = endcap_json("user", "show", ANN, "--json", **settings)
        assert shown["devices"] == [PHONE]
        assert shown["events_folded"] == 4
        assert (shown["raw_events"], shown["dead_letters"], shown["contacts"]) == (6, 2, 2)
        exported = endcap_json("user", "export", ANN, **settings)
        assert {row["item_id"] for row in exported["session"]["interactions"]} == {"1029743"}
        assert exported["cart"] == ["1082185"]
        assert {row["campaign"] for row in exported["contacts"]} == {"winter", "spring"}
        assert exported["list"]["items"]

        said = endcap_json("user", "erase", ANN, "--yes", "--purge-events", "--json", **settings)
        assert said["missing"] == []
        assert said["removed"]["events"] == 4 + 3  # and what the device had handed over
        assert (said["removed"]["sessions"], said["removed"]["devices"]) == (2, 1)
        assert (said["removed"]["dead_letters"], said["raw_events_deleted"] > 4) == (2, True)
        assert said["removed"]["contacts"] == 2
        receipt = endcap_json("user", "receipt", said["request_id"], "--json", **settings)
        assert receipt["missing"] == []
        await _until(lambda: not client.exists(rec_key(ANN)))
        for name in (ANN, PHONE):
            assert [where async for where in _places_that_name(bootstrap, name)] == []
            assert [key for key in client.scan_iter() if _names(client, key, name)] == []
        assert client.exists(rec_key(BEN))
        left = await planned_contacts(bootstrap, TOPICS)
        assert [one.user_id for one in left.values()] == [BEN]

        await _send(bootstrap, _visits())  # a producer's replay
        await until_committed(bootstrap, f"{_PREFIX}-stream", TOPICS.events.name)
        sessions = await sessions_in(bootstrap, TOPICS)
        assert ANN not in sessions
        assert sessions[BEN].events_folded == 1
        assert endcap_json("user", "show", ANN, "--json", **settings)["dead_letters"] == 0
    for number in range(_PARTITIONS):
        store = DiskSessions(data_dir / "sessions" / _PREFIX / str(number))
        assert (store.get(ANN), store.get(PHONE)) == (None, None)
        store.close()
    client.close()


def test_an_erasure_without_workers_says_who_has_not_answered(stack: LocalStack) -> None:
    asyncio.run(create_topics(stack.bootstrap_servers, topics_with_prefix("idle-shop"), 1))
    settings = settings_for(stack, "idle-shop")
    done = endcap("user", "erase", "nobody", "--yes", "--timeout-s", "1", **settings)
    assert done.returncode == 1
    assert "endcap stream" in done.stderr
    assert "endcap user receipt" in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_broker_drops_contacts_that_are_erased_and_those_that_are_old(
    stack: LocalStack,
) -> None:
    topics = topics_with_prefix("kept-contacts")
    await create_topics(stack.bootstrap_servers, topics, 1, retention_days=30)
    admin = await started_admin(stack.bootstrap_servers)
    try:
        (answer,) = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topics.campaigns.name)]
        )
    finally:
        await admin.close()
    kept = {name: value for name, value, *_ in answer.resources[0][4]}
    assert set(kept["cleanup.policy"].split(",")) == {"compact", "delete"}
    assert kept["retention.ms"] == str(30 * 86_400_000)


def _visits() -> list[Event | bytes]:
    def event(at: int, user_id: str, name: EventType, item: str = "", **more: Any) -> Event:
        items = (EventItem(item),) if item else ()
        return Event(
            event_id=f"{user_id}-{at}",
            user_id=user_id,
            event_name=name,
            timestamp_ms=_START_MS + at,
            items=items,
            **more,
        )

    return [
        event(1, PHONE, EventType.VIEW_ITEM, "1029743"),
        event(2, PHONE, EventType.ADD_TO_CART, "1082185"),
        event(3, ANN, EventType.IDENTIFY, anonymous_id=PHONE),
        event(4, ANN, EventType.SEARCH),
        event(5, BEN, EventType.VIEW_ITEM, "1029743"),
        b'{"user_id": "%s", "event_name": "buy"}' % ANN.encode(),
        b"rubbish of %s, not JSON" % ANN.encode(),
    ]


async def _send(bootstrap: str, visits: list[Event | bytes]) -> None:
    producer = await started_producer(bootstrap)
    try:
        for each in visits:
            if isinstance(each, Event):
                await EventProducer(producer, TOPICS.events.name).send(each)
            else:
                await producer.send_and_wait(TOPICS.events.name, each, ANN.encode())
    finally:
        await stop_producer(producer)


@contextmanager
def _processes(stack: LocalStack) -> Iterator[Path]:
    """`endcap stream` and `endcap rescore`; gives the former's data_dir."""
    stream = StreamProcess(stack, _PREFIX, 900)
    (port,) = free_ports(1)
    rescore = Child(
        "endcap rescore",
        [*ENDCAP, "rescore"],
        stack.log_dir / "erasure-rescore.log",
        os.environ | settings_for(stack, _PREFIX) | {"ENDCAP_METRICS_PORT": str(port)},
    )
    try:
        rescore.wait_until(lambda: is_open(port), 60)
        yield stack.log_dir / "stream-900"
    finally:
        rescore.stop(30)
        stream.child.stop(30)


async def _until(is_so: Any) -> None:
    async with asyncio.timeout(60):
        while True:
            if is_so():
                return
            await asyncio.sleep(0.1)


async def _handed_over(bootstrap: str) -> None:
    """Returns when Ann's session holds what her phone did."""
    async with asyncio.timeout(60):
        while True:
            ann = (await sessions_in(bootstrap, TOPICS)).get(ANN)
            if ann is not None and ann.events_folded == 4:
                return
            await asyncio.sleep(0.1)


async def _places_that_name(bootstrap: str, name: str) -> Any:
    """Live records: the newest of each key where the topic is compacted, else all."""
    sought = name.encode()
    for topic in TOPICS:
        live: dict[Any, Any] = {}
        async for record in read_whole(bootstrap, topic.name):
            place = record.partition, record.key if topic.compacted else record.offset
            live[place] = record
            if topic.compacted and record.value is None:
                del live[place]
        for record in live.values():
            told = [record.key or b"", record.value or b"", *(v for _, v in record.headers)]
            if any(sought in each for each in told):
                yield topic.name, record.offset, told


def _names(client: Any, key: bytes, name: str) -> bool:
    """Whether a key of Redis, or what lies there, names somebody."""
    if name.encode() in key:
        return True
    held = client.get(key) if client.type(key) == b"string" else str(client.hgetall(key)).encode()
    return name.encode() in held
