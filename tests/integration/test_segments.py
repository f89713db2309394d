"""Segments of a running shop: a purchase ends a lapse, an erasure ends the segment; contacts."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import httpx
import msgspec
import pytest
import redis
from aiokafka import AIOKafkaProducer
from awaited import until
from command_line import endcap, endcap_json
from jsonschema import Draft202012Validator
from own_valkey import OwnValkey
from redis_users import DOCS
from stream_topics import send_events

from endcap.deploy.local_stack import LocalStack
from endcap.deploy.processes import session_worker
from endcap.deploy.segments_process import segment_worker
from endcap.deploy.settings import Settings
from endcap.events import Event, EventItem, EventType
from endcap.marketing.lifetime_value import BgNbd, GammaGamma
from endcap.marketing.segment_model import ItemFacts, SegmentModel, encode_model
from endcap.segments import Segment, segment_key, state_at
from endcap.serving.http import Options, create_app
from endcap.serving.memory_store import MemoryStore
from endcap.serving.ruled_lists import RuledLists
from endcap.serving.segment_store import SegmentStore
from endcap.streams.clients import create_topics, read_whole
from endcap.streams.person import request_erasure
from endcap.streams.segment_worker import SEGMENTS

pytestmark = pytest.mark.integration
DAY_MS = 86_400_000
MODEL = SegmentModel(
    BgNbd(1.5, 12.0, 5.0, 900.0),
    GammaGamma(2.0, 2.5, 19.0),
    (100.0, 500.0),
    0.5,
    {"milk": ItemFacts(1.5, 0.1, "Milk", "National")},
)


class Shop(NamedTuple):
    """Topics, a store, and what writes segments into it."""

    settings: Settings
    store: SegmentStore

    async def segment(self, user: str) -> Segment | None:
        return await self.store.segment(user)

    async def buys(self, user: str, *days_ago: float) -> None:
        now_ms = int(time.time() * 1000)
        events = [
            Event(
                event_id=uuid4().hex,
                user_id=user,
                event_name=EventType.PURCHASE,
                timestamp_ms=now_ms - int(days * DAY_MS),
                transaction_id=uuid4().hex,
                items=(EventItem("milk"),),
            )
            for days in days_ago
        ]
        await send_events(self.settings.broker, self.settings.topics, events)


@pytest.fixture
async def shop(stack: LocalStack, tmp_path: Path) -> AsyncIterator[Shop]:
    valkey = OwnValkey(tmp_path)
    settings = Settings(
        kafka_bootstrap_servers=stack.bootstrap_servers,
        redis_url=valkey.url,
        topic_prefix=f"t{uuid4().hex[:8]}",
        data_dir=tmp_path,
        session_store="memory",
        lateness_s=0,
    )
    settings.segments_path.write_bytes(encode_model(MODEL))
    await create_topics(stack.bootstrap_servers, settings.topics, 1)
    store = SegmentStore(valkey.url)
    parts = [session_worker(settings), segment_worker(settings, store)]
    running = [asyncio.create_task(part.run()) for part in parts]
    try:
        yield Shop(settings, store)
    finally:
        for part in parts:
            part.stop()
        await asyncio.gather(*running)
        await store.close()
        valkey.stop()


async def test_a_purchase_ends_a_lapse_over_http_too_and_an_erasure_ends_the_segment(
    shop: Shop,
) -> None:
    user, other = uuid4().hex, uuid4().hex
    await shop.buys(user, 80, 73, 66, 59, 52)
    await shop.buys(other, 1)

    async def is_lapsing() -> bool:
        found = await shop.segment(user)
        return found is not None and state_at(found, int(time.time() * 1000)) != "active"

    async def is_active() -> bool:
        return not await is_lapsing()

    await until(is_lapsing, "the lapse")
    await shop.buys(user, 0)
    await until(is_active, "the return")
    await _looks_as_documented(shop, user)
    await _is_told_over_http(shop, user)

    settings = shop.settings
    await request_erasure(settings.broker, settings.topics, user, uuid4().hex)

    async def is_gone() -> bool:
        return await shop.segment(user) is None

    await until(is_gone, "the erasure")
    assert await until(lambda: shop.segment(other))


async def test_an_older_segment_changes_nothing_and_who_is_in_which_state_is_counted(
    shop: Shop,
) -> None:
    user = uuid4().hex
    await shop.buys(user, 3, 2, 1)

    async def has_three() -> Segment | None:
        found = await shop.segment(user)
        return found if found is not None and found.version == 3 else None

    held = await until(has_three)

    assert await shop.store.write({user: msgspec.structs.replace(held, version=2)}) == 0
    counted = await shop.store.counts(int(time.time() * 1000))
    assert counted["states"] == {"active": 1}


async def test_records_that_cannot_be_read_end_nobodys_segments(
    shop: Shop, producer: AIOKafkaProducer
) -> None:
    topic, user = shop.settings.topics.sessions.name, uuid4().hex
    before = SEGMENTS.labels("unreadable")._value.get()
    for value in (b"rubbish", b"\x91" * 5_000 + b"\x01", b"\x94\xa1\xff"):
        await producer.send_and_wait(topic, value, uuid4().bytes.hex().encode(), partition=0)
    await producer.send_and_wait(topic, b"whose?", b"\xff\xfe", partition=0)
    await shop.buys(user, 1)
    assert await until(lambda: shop.segment(user))
    assert SEGMENTS.labels("unreadable")._value.get() == before + 4


async def test_contacts_go_to_their_topic_each_once(shop: Shop, tmp_path: Path) -> None:
    plans, rows = tmp_path / "campaigns.yaml", tmp_path / "candidates.csv"
    plans.write_text("campaigns:\n- {name: s, budget: 9, cost: 1, subject: a, body: b}\n")
    rows.write_text("user_id,campaign,uplift,consent,contacts\nann,s,9,true,0\nbo,s,9,false,0\n")
    environment = {
        "ENDCAP_KAFKA_BOOTSTRAP_SERVERS": shop.settings.broker,
        "ENDCAP_TOPIC_PREFIX": shop.settings.topic_prefix,
    }
    for sent_before in (0, 1):
        told = await asyncio.to_thread(
            endcap_json, "campaign", "plan", plans, "--candidates", rows, "--send", "--json",
            **environment,
        )  # fmt: skip
        assert (told["sent"], told["sent_before"]) == (1 - sent_before, sent_before)
    topic = shop.settings.topics.campaigns.name
    sent = [each async for each in read_whole(shop.settings.broker, topic, 0)]
    assert [each.key for each in sent] == [b"s:ann"]
    assert json.loads(sent[0].value)["user_id"] == "ann"


def test_without_a_model_it_is_said_how_to_make_one(tmp_path: Path) -> None:
    ended = endcap("segments", "follow", cwd=tmp_path)
    assert ended.returncode == 1
    assert "endcap segments build" in ended.stderr


async def _looks_as_documented(shop: Shop, user: str) -> None:
    schema = json.loads((DOCS / "redis.schema.json").read_text())
    key = segment_key(user)
    with redis.Redis.from_url(shop.settings.store) as client:
        raw = client.get(key)
        assert client.ttl(key) > 0
    value = json.loads(raw)
    Draft202012Validator(schema).validate({key: value})
    assert value.keys() == schema["$defs"]["segment"]["properties"].keys()


async def _is_told_over_http(shop: Shop, user: str) -> None:
    lists = RuledLists(MemoryStore())
    app = create_app(lists, None, None, Options(segments=shop.store))  # type: ignore[arg-type]
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop")
    async with client:
        told = await client.get(f"/v1/users/{user}/segment")
        assert told.json()["state"] == "active"
        assert told.json()["segment"]["visits"] == 6
        assert (await client.get("/v1/users/nobody/segment")).status_code == 404
