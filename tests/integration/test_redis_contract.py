"""What the processes write to a real Valkey is what the schema says; and who may read or write."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import redis
from jsonschema import Draft202012Validator
from own_valkey import OwnValkey
from redis.exceptions import NoPermissionError
from redis_users import DOCS, READER, WRITER, WRITES, as_user, make_users, refused

from endcap.bundle import load_bundle
from endcap.catalogue import encode_item
from endcap.client import Client, Options, ReadRefusedError
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.settings import BUNDLES
from endcap.events import Event, EventItem, EventType, encode_event
from endcap.serving.model_slot import Model, ModelSlot
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.redis_store import RedisStore
from endcap.serving.rescorer import Rescorer
from endcap.streams.clients import create_topics, started_consumer, started_producer
from endcap.streams.owned_partition import Place
from endcap.streams.session_worker import SessionWorker
from endcap.streams.trends import TrendsPlace, run_trends
from endcap.topics import Topics, topics_with_prefix

pytestmark = pytest.mark.integration
SCHEMA = json.loads((DOCS / "redis.schema.json").read_text())
STORE = "12"


class Written(NamedTuple):
    """A Valkey that the processes have written to, each key's value, and names in the keys."""

    url: str
    values: dict[str, Any]
    user: str
    item: str
    category: str


@pytest.fixture(scope="module")
def written(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """By the user `endcap-writer`: what it may suffices."""
    valkey = OwnValkey(tmp_path_factory.mktemp("contract"))
    try:
        make_users(valkey.url)
        yield asyncio.run(_filled(stack, valkey.url, tmp_path_factory.mktemp("trends")))
    finally:
        valkey.stop()


async def _filled(stack: LocalStack, url: str, folder: Path) -> Written:
    topics = topics_with_prefix(f"t{uuid4().hex[:8]}")
    await create_topics(stack.bootstrap_servers, topics, partitions=1)
    bundle = load_bundle(BUNDLES / "completejourney")
    pair = [item for item in bundle.items if item.category][:2]
    user = f"user-{uuid4().hex}"
    await _send(stack, topics, user, pair)
    names = Written(url, {}, user, pair[0].item_id, pair[0].category)

    store = RedisStore(as_user(url, WRITER))
    name = topics.events.name
    worker = SessionWorker(Place(stack.bootstrap_servers, topics, f"{name}-w", 60_000))
    consumer = partial(
        started_consumer, stack.bootstrap_servers, topics.sessions.name, group_id=f"{name}-r"
    )
    rescorer = Rescorer(consumer, store, ModelSlot(Model(bundle, OnnxScorer(bundle, threads=1))))
    stop = asyncio.Event()
    place = TrendsPlace(stack.bootstrap_servers, topics, folder, f"{name}-t")
    running = [
        asyncio.create_task(worker.run()),
        asyncio.create_task(rescorer.run()),
        asyncio.create_task(run_trends(place, store, stop)),
    ]
    try:
        deadline = time.monotonic() + 90
        while missing := expected_keys(names) - (values := _all(url)).keys():
            assert time.monotonic() < deadline, f"not written: {missing}; written: {[*values]}"
            await asyncio.sleep(0.05)
        return names._replace(values=values)
    finally:
        worker.stop()
        rescorer.stop()
        stop.set()
        await asyncio.gather(*running)
        await store.close()


async def _send(stack: LocalStack, topics: Topics, user: str, pair: list[Any]) -> None:
    """A catalogue of two items, one of which changes its price, and a basket with both."""
    producer = await started_producer(stack.bootstrap_servers)
    event = Event(
        event_id="1",
        user_id=user,
        event_name=EventType.PURCHASE,
        timestamp_ms=int(time.time() * 1000),
        transaction_id="t",
        store_id=STORE,
        items=tuple(EventItem(item.item_id) for item in pair),
    )
    try:
        for item in pair:
            for price in (1.5, 1e-7):
                changed = type(item)(item.item_id, item.title, item.category, "", price)
                value = encode_item(changed)
                await producer.send_and_wait(
                    topics.catalogue.name, value, key=item.item_id.encode()
                )
        await producer.send_and_wait(topics.events.name, encode_event(event), key=user.encode())
    finally:
        await producer.stop()


def expected_keys(names: Written) -> set[str]:
    """One of each kind."""
    return {
        f"endcap:rec:{{{names.user}}}",
        "endcap:trending",
        "endcap:trending-now",
        f"endcap:trending:{names.category}",
        f"endcap:trending:store:{STORE}",
        f"endcap:similar:{{{names.item}}}",
        f"endcap:item:{{{names.item}}}",
    }


def _all(url: str) -> dict[str, Any]:
    """What lies in Redis: strings as the JSON in them, hashes as objects."""
    values: dict[str, Any] = {}
    with redis.Redis.from_url(url, decode_responses=True) as client:
        for key in client.scan_iter():
            kind = client.type(key)
            values[key] = client.hgetall(key) if kind == "hash" else json.loads(client.get(key))
    return values


def test_every_value_is_as_the_schema_says(written: Written) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    mistakes = Draft202012Validator(SCHEMA).iter_errors(written.values)
    assert [f"{list(each.absolute_path)}: {each.message}" for each in mistakes] == []


def test_every_field_that_is_written_is_documented(written: Written) -> None:
    """Readers may be sent more than the schema names; what endcap itself sends has a name there."""
    known = {
        name: set(SCHEMA["$defs"][name]["properties"])
        for name in SCHEMA["$defs"]
        if "properties" in SCHEMA["$defs"][name]
    }
    for key, value in written.values.items():
        if key.startswith("endcap:item:"):
            assert value.keys() <= known["item"], key
            continue
        assert value.keys() <= known["list"], key
        for item in value["items"]:
            assert item.keys() <= known["list_item"], key


def test_the_page_and_the_schema_name_the_same_keys() -> None:
    page = (DOCS / "redis.md").read_text()
    named = re.findall(r"^\| `(endcap:[^`]+)`", page, re.MULTILINE)
    examples = [re.sub(r"<[a-z]+>", "x", key) for key in named]
    patterns = SCHEMA["patternProperties"]
    assert len(named) == len(set(named)) > 0
    for pattern in patterns:
        assert any(re.search(pattern, key) for key in examples), f"{pattern} is not on the page"
    for key in examples:
        assert any(re.search(pattern, key) for pattern in patterns), f"{key} has no schema"
    (version,) = re.findall(r"version ([0-9]+)$", SCHEMA["title"])
    assert f"version {version}" in page


def test_lists_expire_and_trending_and_items_do_not(written: Written) -> None:
    lasting = {"endcap:trending", *(key for key in written.values if ":item:" in key)}
    with redis.Redis.from_url(as_user(written.url, READER)) as client:
        expires = {key for key in written.values if client.ttl(key) > 0}
    assert expires == written.values.keys() - lasting


def test_a_reader_reads_every_key_and_can_write_none(written: Written) -> None:
    with redis.Redis.from_url(as_user(written.url, READER), decode_responses=True) as reader:
        for key, value in written.values.items():
            read = reader.hgetall(key) if ":item:" in key else json.loads(reader.get(key))
            assert read == value
        for key in written.values:
            assert refused(reader, key) == [command[0] for command in WRITES]
        with pytest.raises(NoPermissionError):
            reader.get("endcap:of-no-contract")
    assert _all(written.url) == written.values


async def test_the_client_needs_no_more_than_the_reader_may(written: Written) -> None:
    patient = Options(timeout_s=5, deadline_s=30)
    with Client.connect(as_user(written.url, READER), patient) as shop:
        own = shop.recommend(written.user, last_item=written.item, category=written.category)
        assert own.source == "own"
        assert shop.recommend("?", last_item=written.item).source == "similar"
        assert shop.recommend("?", category=written.category).source == "category"
        answer = shop.recommend("?")
        assert answer.source == "trending"
        assert shop.items([written.item])[written.item].category == written.category
    with redis.Redis.from_url(written.url) as raw:
        raw.execute_command("ACL", "SETUSER", "nobody", "on", f">{'x' * 9}", "-@all")
    nobody = written.url.replace("redis://", f"redis://nobody:{'x' * 9}@")
    with Client.connect(nobody, patient) as shop, pytest.raises(ReadRefusedError, match="ACL"):
        shop.recommend(written.user)
