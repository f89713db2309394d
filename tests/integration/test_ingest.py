"""Other systems' topics become native events: each record once, whatever is killed on the way."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from click_records import (
    CLICK_AVSC_TEXT,
    CLICK_INDEX,
    CLICK_PROTO,
    MONEY_PROTO,
    avro_record,
    framed,
    proto_record,
    rees46_line,
    segment_call,
)
from ingest_process import Ingest, create_sources, events_in
from stream_topics import until_committed

from endcap.deploy.local_stack import LocalStack
from endcap.streams.clients import create_topics
from endcap.streams.dead_letters import Wanted, read_letters, replay_letters
from endcap.topics import topics_with_prefix

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


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
    await create_sources(stack.bootstrap_servers, *topic.values())

    make: dict[str, Callable[[int], bytes]] = {
        "web": lambda number: segment_call(f"web-{number}"),
        "app": lambda number: framed(avro_id, avro_record(f"app-{number}")),
        "till": lambda number: framed(proto_id, CLICK_INDEX + proto_record(f"till-{number}")),
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
        await until_committed(stack.bootstrap_servers, f"{prefix}-ingest", *topic.values())
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
    await create_sources(stack.bootstrap_servers, source["topic"])
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
    await create_sources(stack.bootstrap_servers, f"{prefix}.avro", f"{prefix}.web", partitions=1)
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
