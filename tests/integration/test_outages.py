"""Each call, and the page's own, while a part is away: what the answer says of itself, and that all
is as before once the part is back.

The processes run as an operator starts them. Every test takes one part away; what is not named in
its table is answered as ever.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
from command_line import ENDCAP, settings_for
from event_stream import listening
from own_valkey import OwnValkey
from serve_process import ServeProcess

from endcap.bundle import load_bundle
from endcap.catalogue import CatalogueItem, encode_item
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.supervised import Child
from endcap.deploy.settings import DEMO_BUNDLE
from endcap.lists import ListItem, RecommendationList, Shelf
from endcap.serving.redis_store import RedisStore
from endcap.streams.clients import create_topics, started_producer
from endcap.topics import topics_with_prefix

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
TOPICS = topics_with_prefix("outage", 1)
SENTENCE = "/shop/search?q=I bought milk and eggs."
SOON_S = 90
MILK = CatalogueItem("milk", "Milk", "Dairy", "Food", price=1.25)


class Call(NamedTuple):
    """`fields`: those of the answer that say where it comes from."""

    fields: tuple[str, ...] = ()
    body: Any = None


def an_event(user: str) -> dict[str, Any]:
    return {
        "event_id": uuid4().hex,
        "user_id": user,
        "event_name": "view_item",
        "timestamp_ms": int(time.time() * 1000),
        "items": [{"item_id": "1029743"}],
    }


def an_impression() -> dict[str, Any]:
    return {
        "impression_id": uuid4().hex,
        "user_id": "ann",
        "kind": "shown",
        "placement": "home",
        "items": [{"id": "milk", "position": 1}],
        "list_version": 1,
        "model": "m",
        "timestamp_ms": int(time.time() * 1000),
    }


CALLS = {
    "GET /v1/recommendations/ann": Call(("source",)),
    "GET /v1/recommendations/ann?placement=basket": Call(("source",)),
    "GET /v1/recommendations/nobody": Call(("source",)),
    "GET /v1/similar/milk": Call(("source",)),
    "GET /v1/trending?category=Dairy": Call(("source",)),
    "POST /v1/rescore": Call(("source",), {"events": []}),
    "POST /v1/events": Call(("accepted",), an_event("ann")),
    "POST /v1/impressions": Call(("accepted",), an_impression()),
    "GET /v1/users/ann": Call(("store", "sessions")),
    "GET /v1/users/ann/session": Call(),
    "DELETE /v1/users/somebody": Call(),
    "GET /v1/erasures/unheard-of": Call(),
    "GET /v1/shoppers": Call(),
    "GET /readyz": Call(("store", "kept")),
    "GET /healthz": Call(("status",)),
    "GET /metrics": Call(),
    "GET /": Call(),
    "GET /shop/departments": Call(),
    "GET /shop/category?name=Dairy": Call(),
    "GET /shop/products?ids=milk": Call(),
    "GET /shop/search?q=milk": Call(("kind",)),
    f"GET {SENTENCE}": Call(("kind", "note")),
    "GET /shop/shoppers": Call(),
    "GET /shop/known/ann": Call(("known",)),
    "GET /shop/list/ann": Call(("source", "is_live")),
}
PUSHED = "GET /shop/updates/ann"
USUAL = {
    "GET /v1/recommendations/ann": "own",
    "GET /v1/recommendations/ann?placement=basket": "own",
    "GET /v1/recommendations/nobody": "trending",
    "GET /v1/similar/milk": "similar",
    "GET /v1/trending?category=Dairy": "category",
    "POST /v1/rescore": "request",
    "POST /v1/events": "1",
    "POST /v1/impressions": "1",
    "GET /v1/users/ann": "answered answered",
    "GET /v1/users/ann/session": "200",
    "DELETE /v1/users/somebody": "202",
    "GET /v1/erasures/unheard-of": "404 no-receipt",
    "GET /v1/shoppers": "200",
    "GET /readyz": "True True",
    "GET /healthz": "ok",
    "GET /metrics": "200",
    "GET /": "200",
    "GET /shop/departments": "200",
    "GET /shop/category?name=Dairy": "200",
    "GET /shop/products?ids=milk": "200",
    "GET /shop/search?q=milk": "titles",
    f"GET {SENTENCE}": "words ",
    "GET /shop/shoppers": "200",
    "GET /shop/known/ann": "True",
    "GET /shop/list/ann": "own True",
    PUSHED: "own True",
}
NO_MODEL = {
    "POST /v1/rescore": "trending",
    f"GET {SENTENCE}": "words This server has no model yet: its log says why.",
}
NO_REDIS = {
    "GET /v1/recommendations/ann": "kept",
    "GET /v1/recommendations/ann?placement=basket": "kept",
    "GET /v1/recommendations/nobody": "kept",
    "GET /v1/similar/milk": "kept",
    "GET /v1/trending?category=Dairy": "kept",
    "GET /v1/users/ann": "away answered",
    "GET /v1/shoppers": "503 unavailable",
    "GET /readyz": "False True",
    "GET /shop/shoppers": "503 unavailable",
    "GET /shop/list/ann": "kept False",
    PUSHED: "kept False",
}
EMPTY_REDIS = {
    "GET /v1/recommendations/ann": "kept",
    "GET /v1/recommendations/ann?placement=basket": "kept",
    "GET /v1/recommendations/nobody": "kept",
    "GET /v1/similar/milk": "kept",
    "GET /v1/trending?category=Dairy": "kept",
    "GET /shop/list/ann": "kept True",
    PUSHED: "kept True",
}
NO_KAFKA = {
    "POST /v1/events": "503 unavailable",
    "POST /v1/impressions": "503 unavailable",
    "DELETE /v1/users/somebody": "503 unavailable",
    "GET /v1/erasures/unheard-of": "503 unavailable",
}
STARTED_WITHOUT_KAFKA = NO_KAFKA | {
    "POST /v1/rescore": "trending",
    "GET /v1/users/ann": "answered away",
    "GET /v1/users/ann/session": "503 unavailable",
    "GET /shop/category?name=Dairy": "404 no-such-category",  # the bundle's own are shown
    f"GET {SENTENCE}": NO_MODEL[f"GET {SENTENCE}"],
}


async def told(client: httpx.AsyncClient) -> dict[str, str]:
    """What each call says, all of them asked at once."""
    said = await asyncio.gather(*(_answer(client, name, call) for name, call in CALLS.items()))
    async with listening(client, "ann") as page:
        pushed = await page.until(lambda _: True)
    return dict(zip(CALLS, said, strict=True)) | {PUSHED: f"{pushed['source']} {pushed['is_live']}"}


async def _answer(client: httpx.AsyncClient, name: str, call: Call) -> str:
    method, _, path = name.partition(" ")
    answer = await client.request(method, path, json=call.body)
    if answer.is_error:
        assert answer.headers["content-type"] == "application/problem+json"
        if answer.status_code == 503:
            assert answer.headers["retry-after"]
        return f"{answer.status_code} {answer.json()['type'].rpartition(':')[2]}"
    if not call.fields:
        return str(answer.status_code)
    body = answer.json()
    return " ".join(str(body[field]) for field in call.fields)


async def until_told(client: httpx.AsyncClient, expected: Mapping[str, str]) -> None:
    deadline = time.monotonic() + SOON_S
    while (said := await told(client)) != expected:
        assert time.monotonic() < deadline, dict(said.items() - expected.items())
        await asyncio.sleep(0.1)


class Shop:
    """The processes; a rescorer only where a test starts it."""

    def __init__(self, folder: Path, stack: LocalStack, valkey: OwnValkey) -> None:
        self.folder = folder
        self.stack = stack
        self.valkey = valkey
        self.bundle = folder / "bundle"  # that comes later
        self.settings = settings_for(stack, "outage") | {
            "ENDCAP_REDIS_URL": valkey.url,
            "ENDCAP_HTTP_RESCORE": "true",
            "ENDCAP_BUNDLE": str(self.bundle),
            "ENDCAP_DATA_DIR": str(folder),
        }
        self.started = [self.start("stream")]
        self.server = ServeProcess(folder, self.settings)

    def start(self, name: str) -> Child:
        log = self.folder / f"{name}.log"
        return Child(f"endcap {name}", [*ENDCAP, name], log, {**os.environ, **self.settings})

    async def fill_store(self) -> None:
        store = RedisStore(self.valkey.url)
        await store.write_items([MILK])
        await store.write_trending(a_list("milk", "brie", "tea"))
        await store.write_shelves(
            {Shelf("similar", "milk"): a_list("bread"), Shelf("category", "Dairy"): a_list("brie")}
        )
        await store.write_lists({"ann": a_list("brie")})
        await store.close()

    def client(self, server: ServeProcess | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=(server or self.server).url, timeout=30)


def a_list(*items: str) -> RecommendationList:
    rows = tuple(ListItem(item, 0.5, "why") for item in items)
    return RecommendationList(1 << 40, "m", 5, rows)  # above what a rescorer will write


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("outages")
    valkey = OwnValkey(folder)
    with LocalStack(None, valkey.url) as stack:
        asyncio.run(_publish(stack))
        made = Shop(folder, stack, valkey)
        try:
            yield made
        finally:
            for child in (*made.started, made.server.child):
                child.ask_to_stop()
            for child in (*made.started, made.server.child):
                child.stop()
    valkey.stop()


@pytest.fixture
async def client(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    async with shop.client() as opened:
        yield opened


async def _publish(stack: LocalStack) -> None:
    await create_topics(stack.bootstrap_servers, TOPICS, 1)
    producer = await started_producer(stack.bootstrap_servers)
    waiting = [
        await producer.send(TOPICS.catalogue.name, encode_item(item), key=item.item_id.encode())
        for item in (MILK, *load_bundle(DEMO_BUNDLE).items)
    ]
    await asyncio.gather(*waiting)
    await producer.stop()


async def test_the_model_is_missing(shop: Shop, client: httpx.AsyncClient) -> None:
    await shop.fill_store()
    await until_told(client, USUAL | NO_MODEL)
    asked = {"events": [], "candidates": ["mine", "brie"]}
    instead = (await client.post("/v1/rescore", json=asked)).json()
    assert [row["id"] for row in instead["items"]] == ["brie", "mine"]  # first what trends
    shop.bundle.symlink_to(DEMO_BUNDLE)
    await until_told(client, USUAL)
    scored = (await client.post("/v1/rescore", json={"events": []})).json()
    assert scored["model"] == "completejourney"
    assert (await client.get(SENTENCE)).json()["recommended"]


async def test_the_rescorer_is_stopped(shop: Shop, client: httpx.AsyncClient) -> None:
    user = uuid4().hex
    assert (await client.post("/v1/events", json=an_event(user))).status_code == 202
    async with listening(client, user) as page:
        waits = await page.until(lambda _: True)
        assert (waits["source"], waits["is_live"]) == ("trending", True)
        await until_told(client, USUAL)
        found = await client.get(f"/v1/recommendations/{user}")
        assert found.json()["source"] == "trending"
        shop.started.append(shop.start("rescore"))
        await page.until(lambda said: said["source"] == "own")
    assert (await client.get(f"/v1/recommendations/{user}")).json()["source"] == "own"


async def test_redis_is_stopped_and_comes_back_empty(shop: Shop, client: httpx.AsyncClient) -> None:
    await until_told(client, USUAL)
    shop.valkey.stop()
    await until_told(client, USUAL | NO_REDIS)
    found = await client.get("/v1/recommendations/ann")
    assert found.json()["items"][0]["title"] == "Milk"
    shop.valkey.start()
    await until_told(client, USUAL | EMPTY_REDIS)
    await shop.fill_store()
    await until_told(client, USUAL)


async def test_redis_stands_still(shop: Shop, client: httpx.AsyncClient) -> None:
    shop.valkey.pause()
    try:
        await until_told(client, USUAL | NO_REDIS)
    finally:
        shop.valkey.resume()
    await until_told(client, USUAL)


async def test_kafka_is_gone(shop: Shop, client: httpx.AsyncClient, tmp_path: Path) -> None:
    shop.stack.kill_kafka()
    settings = shop.settings | {"ENDCAP_DATA_DIR": str(tmp_path)}
    late, _ = await asyncio.gather(  # one server ran already, one starts in the outage
        asyncio.to_thread(ServeProcess, tmp_path, settings), until_told(client, USUAL | NO_KAFKA)
    )
    try:
        async with shop.client(late) as new:
            await until_told(new, USUAL | STARTED_WITHOUT_KAFKA)
            # Whether anything is held of somebody without a list cannot be said.
            assert (await new.get("/v1/users/nobody")).status_code == 503
            refused = await new.post("/v1/events", json=an_event("ann"))
            assert "Kafka" in refused.json()["detail"]
            await asyncio.to_thread(shop.stack.revive_kafka)
            await asyncio.gather(until_told(client, USUAL), until_told(new, USUAL))
    finally:
        late.child.ask_to_stop()
        late.child.stop()
