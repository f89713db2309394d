"""Other systems' topics become native events: each record once, whatever is killed on the way."""

import asyncio
import csv
import io
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import fastavro
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports, is_open
from endcap.deploy.local_stack.supervised import Child
from endcap.deploy.prometheus_text import scrape, total
from endcap.events import Event, EventItem, EventType, encode_event, parse_event
from endcap.streams.clients import (
    create_topics,
    read_whole,
    started_consumer,
    started_producer,
    stop_producer,
)
from endcap.streams.dead_letters import Wanted, read_letters, replay_letters
from endcap.streams.protoc import compile_proto
from endcap.topics import Topics, topics_with_prefix

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
WHEN_MS = 1_700_000_000_000
CLICK_AVSC: dict[str, Any] = {
    "type": "record",
    "name": "Click",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "customer", "type": {
            "type": "record", "name": "Customer", "fields": [{"name": "id", "type": "long"}]}},
        {"name": "sku", "type": "string"},
        {"name": "what", "type": {"type": "enum", "name": "What", "symbols": ["LOOK", "YAWN"]}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "price", "type": ["null", {
            "type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}]},
    ],
}  # fmt: skip
CLICK_AVSC_TEXT = json.dumps(CLICK_AVSC)
MONEY_PROTO = 'syntax = "proto3"; package shop; message Money { double amount = 1; }'
CLICK_PROTO = """
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "money.proto";
enum What { NOTHING = 0; LOOK = 1; }
message Ping { string host = 1; }
message Click {
  string id = 1;
  int64 customer = 2;
  string sku = 3;
  What what = 4;
  google.protobuf.Timestamp at = 5;
  Money price = 6;
}
"""
CLICK_MAPPING = {
    "event": "id",
    "user": "customer.id",
    "item": "sku",
    "type": "what",
    "time": "at",
    "price": "price",
    "types": {"LOOK": "view_item"},
}
ADAPTERS = {
    "avroshop": CLICK_MAPPING,
    "protoshop": CLICK_MAPPING | {"user": "customer", "time_unit": "iso", "price": "price.amount"},
    "rocket": {
        "user": "user",
        "item": "item",
        "type": "event",
        "time": "ts",
        "time_unit": "s",
        "types": {"view": "view_item"},
    },
}
_CLICK_INDEX = b"\x02\x02"
"""`Click` is its file's second message: zigzag varints of how many indexes, and of index 1."""


class Ingest:
    """`endcap ingest` in a process of its own, as an operator would run it."""

    def __init__(self, stack: LocalStack, prefix: str, sources: Mapping[str, Any]) -> None:
        (self._port,) = free_ports(1)
        self.child = Child(
            "endcap ingest",
            [sys.executable, "-m", "endcap.deploy.cli", "ingest"],
            stack.log_dir / f"ingest-{self._port}.log",
            environment(stack, prefix, sources)
            | {
                "ENDCAP_METRICS_PORT": str(self._port),
                "ENDCAP_SESSION_TIMEOUT_S": "2",
            },
        )
        self.child.wait_until(lambda: is_open(self._port), 60)

    def count(self, metric: str, **labels: str) -> int:
        return int(total(scrape(self._port), metric, labels))

    async def counts(self, records: int, metric: str = "endcap_ingest_records_total") -> None:
        """Returns when it has counted so many."""
        async with asyncio.timeout(60):
            while await asyncio.to_thread(self.count, metric) < records:
                self.child.check()
                await asyncio.sleep(0.05)


def environment(stack: LocalStack, prefix: str, sources: Mapping[str, Any]) -> dict[str, str]:
    return os.environ | {
        "ENDCAP_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        "ENDCAP_TOPIC_PREFIX": prefix,
        "ENDCAP_SOURCES": json.dumps(sources),
        "ENDCAP_ADAPTERS": json.dumps(ADAPTERS),
    }


@pytest.fixture
async def producer(stack: LocalStack) -> AsyncIterator[AIOKafkaProducer]:
    started = await started_producer(stack.bootstrap_servers)
    yield started
    await stop_producer(started)


async def create_sources(stack: LocalStack, *names: str, partitions: int = 2) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(name, partitions, 1) for name in names])
    await admin.close()


async def events_in(stack: LocalStack, topics: Topics) -> list[Event]:
    found = []
    async for record in read_whole(stack.bootstrap_servers, topics.events.name):
        event = parse_event(record.value, 1 << 62)
        assert record.key == event.user_id.encode()
        found.append(event)
    return found


def avro_record(name: str, what: str = "LOOK") -> bytes:
    out = io.BytesIO()
    row = {"id": name, "customer": {"id": 7}, "sku": "milk", "what": what, "at": WHEN_MS}
    fastavro.schemaless_writer(out, fastavro.parse_schema(CLICK_AVSC), row | {"price": None})
    return out.getvalue()


def proto_record(name: str) -> bytes:
    """`Click` by hand: a producer that has nothing in common with our decoder."""

    def field(number: int, raw: bytes) -> bytes:
        return bytes([number << 3 | 2, len(raw)]) + raw

    at = b"\x08" + _varint(WHEN_MS // 1000)
    price = b"\x09" + bytes.fromhex("0000000000001240")  # 4.5
    return (
        field(1, name.encode())
        + b"\x10\x07"
        + field(3, b"milk")
        + b"\x20\x01"
        + field(5, at)
        + field(6, price)
    )


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def framed(schema_id: int, payload: bytes) -> bytes:
    return b"\0" + schema_id.to_bytes(4) + payload


def segment_call(name: str) -> bytes:
    return json.dumps(
        {
            "type": "track",
            "event": "Product Viewed",
            "messageId": name,
            "userId": "u",
            "timestamp": "2023-11-14T22:13:20Z",
            "properties": {"product_id": "milk", "price": 4.5},
        }
    ).encode()


def rees46_line(number: int) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(
        ["2023-11-14 22:13:20 UTC", "view", "milk", "1", "", "acme, inc", "4.5", number, "v"]
    )
    return out.getvalue().strip().encode()


async def test_each_record_of_each_format_is_one_event_although_ingest_is_killed_and_frozen(
    stack: LocalStack, registry: Any, producer: AIOKafkaProducer
) -> None:
    prefix = f"t{uuid4().hex[:8]}"
    topics = topics_with_prefix(prefix)
    await create_topics(stack.bootstrap_servers, topics, 3)
    avro_id = registry.register(f"{prefix}.avro-value", CLICK_AVSC_TEXT)
    registry.register(f"{prefix}.money", MONEY_PROTO, "PROTOBUF")
    money = {"name": "money.proto", "subject": f"{prefix}.money", "version": 1}
    proto_id = registry.register(f"{prefix}.proto-value", CLICK_PROTO, "PROTOBUF", money)
    sources = {
        "web": {"topic": f"{prefix}.web", "adapter": "segment"},
        "app": {
            "topic": f"{prefix}.avro",
            "adapter": "avroshop",
            "format": "avro",
            "registry": registry.url,
        },
        "till": {
            "topic": f"{prefix}.proto",
            "adapter": "protoshop",
            "format": "protobuf",
            "registry": registry.url,
        },
        "rows": {"topic": f"{prefix}.rows", "adapter": "rees46", "format": "csv"},
    }
    topic = {name: source["topic"] for name, source in sources.items()}
    await create_sources(stack, *topic.values())

    make: dict[str, Callable[[int], bytes]] = {
        "web": lambda number: segment_call(f"web-{number}"),
        "app": lambda number: framed(avro_id, avro_record(f"app-{number}")),
        "till": lambda number: framed(proto_id, _CLICK_INDEX + proto_record(f"till-{number}")),
        "rows": rees46_line,
    }
    poison = [
        ("web", b"rubbish"),
        ("web", segment_call("")),
        ("app", framed(avro_id, b"\xff" * 30)),
        ("app", framed(4_000_000, b"x")),
        ("app", segment_call("x")),
        ("app", framed(avro_id, avro_record("x") + b"more")),
        ("till", framed(proto_id, b"\x02\x08")),
        ("till", framed(avro_id, b"\0")),
        ("rows", b"a,b"),
        ("rows", rees46_line(1).replace(b"view", b"fly")),
    ]
    sent = 0
    killed = asyncio.Event()

    async def feed() -> None:
        """Until the last kill is over: each falls in mid-stream."""
        nonlocal sent
        left = list(poison)
        while not killed.is_set() or left:
            for _ in range(20):
                for name, record in make.items():
                    await producer.send(topic[name], record(sent))
                sent += 1
            if left:
                name, value = left.pop()
                await producer.send(topic[name], value)
            await producer.flush()
            await asyncio.sleep(0.01)  # some thousand a second: the count is not the point

    frozen: Ingest | None = None
    ingest = Ingest(stack, prefix, sources)
    try:
        feeding = asyncio.create_task(feed())
        for _ in range(2):
            await ingest.counts(1)
            ingest.child.kill()
            ingest = Ingest(stack, prefix, sources)
        await ingest.counts(1)
        ingest.child.pause()
        frozen, ingest = ingest, Ingest(stack, prefix, sources)
        await ingest.counts(1)  # the frozen one's partitions are its own now
        frozen.child.resume()
        killed.set()
        await feeding
        await until_all_is_read(stack, prefix, list(topic.values()))
    finally:
        if frozen:
            frozen.child.resume()
            frozen.child.stop(30)
        ingest.child.stop(30)
    found = Counter(event.event_id for event in await events_in(stack, topics))
    named = {f"{name}-{number}" for name in ("web", "app", "till") for number in range(sent)}
    assert {name: found[name] for name in named} == dict.fromkeys(named, 1)
    assert set(found.values()) == {1}
    assert found.total() == sent * len(make)  # the rows' ids are made of the rows
    letters = await read_letters(stack.bootstrap_servers, topics)
    assert Counter((letter.source_topic, letter.value) for letter in letters) == Counter(
        (topic[name], value) for name, value in poison
    )
    print(f"{sent} records of each of {len(make)} sources, 2 kills, 1 freeze: each is one event")


async def test_a_dead_letter_goes_back_to_its_source_and_becomes_an_event(
    stack: LocalStack, registry: Any, producer: AIOKafkaProducer
) -> None:
    prefix = f"t{uuid4().hex[:8]}"
    topics = topics_with_prefix(prefix)
    await create_topics(stack.bootstrap_servers, topics, 2)
    source = {
        "topic": f"{prefix}.avro",
        "adapter": "avroshop",
        "format": "avro",
        "registry": registry.url,
    }
    await create_sources(stack, source["topic"])
    known = registry.register(f"{prefix}.other", CLICK_AVSC_TEXT.replace("shop", f"{prefix}other"))
    value = framed(known + 1, avro_record("early"))
    await producer.send_and_wait(source["topic"], value, b"key", headers=[("traceparent", b"00")])
    ingest = Ingest(stack, prefix, {"app": source})
    try:
        await ingest.counts(1)
        assert ingest.count("endcap_dead_letters_total", reason="schema_id") == 1
    finally:
        ingest.child.stop(30)
    (letter,) = await read_letters(stack.bootstrap_servers, topics)
    assert (letter.source_topic, letter.key, letter.value) == (source["topic"], b"key", value)

    later = registry.register(f"{prefix}.avro-value", CLICK_AVSC_TEXT.replace("shop", prefix))
    assert later == known + 1
    assert Wanted(source_topic=source["topic"]).takes(letter)
    await replay_letters(stack.bootstrap_servers, topics, [letter])
    ingest = Ingest(stack, prefix, {"app": source})
    try:
        await ingest.counts(1)
    finally:
        ingest.child.stop(30)
    assert [event.event_id for event in await events_in(stack, topics)] == ["early"]


async def test_while_the_registry_is_away_its_source_waits_and_others_go_on(
    stack: LocalStack, registry: Any, producer: AIOKafkaProducer
) -> None:
    prefix = f"t{uuid4().hex[:8]}"
    topics = topics_with_prefix(prefix)
    await create_topics(stack.bootstrap_servers, topics, 1)
    sources = {
        "app": {
            "topic": f"{prefix}.avro",
            "adapter": "avroshop",
            "format": "avro",
            "registry": registry.url,
        },
        "web": {"topic": f"{prefix}.web", "adapter": "segment"},
    }
    await create_sources(stack, f"{prefix}.avro", f"{prefix}.web", partitions=1)
    avro_id = registry.register(f"{prefix}.avro-value", CLICK_AVSC_TEXT)
    await producer.send_and_wait(f"{prefix}.avro", framed(avro_id, avro_record("held")))
    registry.child.pause()
    try:
        ingest = Ingest(stack, prefix, sources)
        try:
            await ingest.counts(1, "endcap_registry_requests_total")
            assert ingest.count("endcap_registry_requests_total", outcome="failed") == 1
            await producer.send_and_wait(f"{prefix}.web", segment_call("free"))
            await ingest.counts(1)
            assert ingest.count("endcap_ingest_records_total", source="web", outcome="sent") == 1
            assert ingest.count("endcap_dead_letters_total") == 0
            registry.child.resume()
            await ingest.counts(2)
        finally:
            ingest.child.stop(30)
    finally:
        registry.child.resume()
    assert {event.event_id for event in await events_in(stack, topics)} == {"free", "held"}


async def test_local_schemas_cloud_events_and_mapped_csv_lines(
    stack: LocalStack, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    prefix = f"t{uuid4().hex[:8]}"
    topics = topics_with_prefix(prefix)
    await create_topics(stack.bootstrap_servers, topics, 2)
    (tmp_path / "click.avsc").write_text(CLICK_AVSC_TEXT)
    files = compile_proto("click.proto", {"click.proto": CLICK_PROTO, "money.proto": MONEY_PROTO})
    (tmp_path / "click.bin").write_bytes(FileDescriptorSet(file=files).SerializeToString())
    sources = {
        "app": {"adapter": "avroshop", "format": "avro", "schema": str(tmp_path / "click.avsc")},
        "till": {
            "adapter": "protoshop",
            "format": "protobuf",
            "schema": str(tmp_path / "click.bin"),
            "message": "shop.Click",
        },
        "rocket": {"adapter": "rocket", "columns": ["ts", "user", "event", "item"]},
        "own": {},
    }
    sources = {name: {"topic": f"{prefix}.{name}", **each} for name, each in sources.items()}
    await create_sources(stack, *(each["topic"] for each in sources.values()))
    own = Event(
        event_id="not-this",
        user_id="u",
        event_name=EventType.VIEW_ITEM,
        timestamp_ms=WHEN_MS,
        items=(EventItem("milk", 4.5),),
    )
    binary = [("ce_id", b"1"), ("ce_source", b"/shop"), ("ce_type", b"x")]
    structured = {"id": "2", "source": "/shop", "type": "x", "specversion": "1.0"}
    for name, value, headers in (
        ("app", avro_record("app"), []),
        ("app", avro_record("yawned", "YAWN"), []),
        ("till", proto_record("till"), []),
        ("rocket", f"{WHEN_MS // 1000},7,view,milk".encode(), []),
        ("own", encode_event(own), binary),
        (
            "own",
            json.dumps(structured | {"data": json.loads(encode_event(own))}).encode(),
            [("content-type", b"application/cloudevents+json; charset=utf-8")],
        ),
        ("own", encode_event(own), [("ce_id", b"3")]),
    ):
        await producer.send_and_wait(f"{prefix}.{name}", value, headers=headers)
    ingest = Ingest(stack, prefix, sources)
    try:
        await ingest.counts(7)
        outcomes = {
            (name, outcome): ingest.count(
                "endcap_ingest_records_total", source=name, outcome=outcome
            )
            for name in sources
            for outcome in ("sent", "ignored", "dead_letter")
        }
    finally:
        ingest.child.stop(30)
    assert {key: times for key, times in outcomes.items() if times} == {
        ("app", "sent"): 1,
        ("app", "ignored"): 1,
        ("till", "sent"): 1,
        ("rocket", "sent"): 1,
        ("own", "sent"): 2,
        ("own", "dead_letter"): 1,
    }
    found = {event.event_id: event for event in await events_in(stack, topics)}
    assert found.keys() >= {"app", "till", "/shop 1", "/shop 2"}
    assert len(found) == 5
    assert {(e.timestamp_ms, e.items[0].item_id) for e in found.values()} == {(WHEN_MS, "milk")}
    assert found["till"].items[0].price == 4.5
    (letter,) = await read_letters(stack.bootstrap_servers, topics)
    assert letter.reason == "cloud_event"


async def test_ingest_and_doctor_name_what_is_missing(stack: LocalStack) -> None:
    prefix = f"t{uuid4().hex[:8]}"
    await create_topics(stack.bootstrap_servers, topics_with_prefix(prefix), 1)
    await create_sources(stack, f"{prefix}.web", partitions=3)
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    sources = {
        "web": {"topic": f"{prefix}.web", "adapter": "segment"},
        "app": {"topic": f"{prefix}.gone", "format": "avro", "registry": nowhere},
    }
    environ = environment(stack, prefix, sources)
    started = await endcap(environ, "ingest")
    assert started.returncode == 1
    assert f"has no {prefix}.gone" in started.stderr
    examined = await endcap(environ, "doctor", "--json")
    found = {each["part"]: each for each in json.loads(examined.stdout)}
    assert found["Source web"]["says"] == f"{prefix}.web has 3 partitions"
    assert not found["Source app"]["ok"]
    assert not found["Schema registry"]["ok"]
    assert nowhere in found["Schema registry"]["says"]


async def endcap(environ: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "endcap.deploy.cli", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )


async def until_all_is_read(stack: LocalStack, prefix: str, names: list[str]) -> None:
    """Returns when the group has committed all of the topics."""
    group = await started_consumer(stack.bootstrap_servers, group_id=f"{prefix}-ingest")
    try:
        ends = await group.end_offsets([TopicPartition(name, n) for name in names for n in (0, 1)])
        async with asyncio.timeout(90):
            while True:
                if all([await group.committed(tp) == end for tp, end in ends.items() if end]):
                    return
                await asyncio.sleep(0.05)
    finally:
        await group.stop()
