"""What a source may look like, and what is said of one that is not there."""

import asyncio
import json
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from click_records import (
    CLICK_AVSC_TEXT,
    CLICK_PROTO,
    MONEY_PROTO,
    WHEN_MS,
    avro_record,
    proto_record,
)
from command_line import endcap
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from ingest_process import Ingest, create_sources, events_in, settings_of

from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports
from endcap.events import Event, EventItem, EventType, encode_event
from endcap.streams.clients import create_topics
from endcap.streams.dead_letters import read_letters
from endcap.streams.protoc import compile_proto
from endcap.topics import topics_with_prefix

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


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
    await create_sources(stack.bootstrap_servers, *(each["topic"] for each in sources.values()))
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
    await create_sources(stack.bootstrap_servers, f"{prefix}.web", partitions=3)
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    sources = {
        "web": {"topic": f"{prefix}.web", "adapter": "segment"},
        "app": {"topic": f"{prefix}.gone", "format": "avro", "registry": nowhere},
    }
    settings = settings_of(stack, prefix, sources)
    started = await asyncio.to_thread(endcap, "ingest", **settings)
    assert started.returncode == 1
    assert f"has no {prefix}.gone" in started.stderr
    examined = await asyncio.to_thread(endcap, "doctor", "--json", **settings)
    found = {each["part"]: each for each in json.loads(examined.stdout)}
    assert found["Source web"]["says"] == f"{prefix}.web has 3 partitions"
    assert not found["Source app"]["ok"]
    assert not found["Schema registry"]["ok"]
    assert nowhere in found["Schema registry"]["says"]
