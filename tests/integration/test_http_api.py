"""The HTTP server as it runs, with keys: each call, and the document. What is left in an outage is
in test_outages.py."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from command_line import settings_for
from own_valkey import OwnValkey
from serve_process import ServeProcess

from endcap.catalogue import CatalogueItem
from endcap.deploy.local_stack import LocalStack
from endcap.lists import ListItem, RecommendationList, Shelf
from endcap.serving.api_keys import new_key
from endcap.serving.redis_store import RedisStore
from endcap.streams.clients import create_topics, read_whole
from endcap.streams.owned_partition import Place
from endcap.streams.session_worker import SessionWorker
from endcap.streams.sweeper import Sweeper
from endcap.topics import topics_with_prefix

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
ROLES = ("reader", "writer", "privacy", "operator")
PREFIX = f"t{uuid4().hex[:8]}"
TOPICS = topics_with_prefix(PREFIX)


class Shop:
    """The server with what it stands on; `key` may do everything."""

    def __init__(self, folder: Path, stack: LocalStack, valkey: OwnValkey) -> None:
        self.folder = folder
        self.stack = stack
        self.valkey = valkey
        self.key, sha256 = new_key()
        keys = folder / "keys.toml"
        keys.write_text(f'[all]\nsha256 = "{sha256}"\nroles = {json.dumps(ROLES)}\n')
        self.settings = settings_for(stack, PREFIX) | {
            "ENDCAP_REDIS_URL": valkey.url,
            "ENDCAP_HTTP_RESCORE": "true",
            "ENDCAP_API_KEYS_FILE": str(keys),
        }
        self.server = ServeProcess(folder, self.settings)

    def client(self, server: ServeProcess) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def shop(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    valkey = OwnValkey(folder)
    asyncio.run(create_topics(stack.bootstrap_servers, TOPICS, 2))
    asyncio.run(_fill_store(valkey.url))
    made = Shop(folder, stack, valkey)
    yield made
    made.server.child.stop()
    valkey.stop()


@pytest.fixture
async def client(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    async with shop.client(shop.server) as opened:
        yield opened


async def _fill_store(url: str) -> None:
    store = RedisStore(url)
    await store.write_items(
        [CatalogueItem("milk", "Milk", "Dairy", price=1.25), CatalogueItem("brie", "Brie", "Dairy")]
    )
    await store.write_trending(a_list("milk", "brie", "tea"))
    await store.write_shelves(
        {
            Shelf("similar", "milk"): a_list("bread"),
            Shelf("category", "Dairy"): a_list("brie", "milk"),
            Shelf("store", "12"): a_list("tea"),
        }
    )
    await store.write_lists({"ann": a_list("brie")})
    await store.close()


def a_list(*items: str) -> RecommendationList:
    return RecommendationList(1, "m", 5, tuple(ListItem(item, 0.5, "why") for item in items))


def a_view(user: str, item: str = "milk") -> dict[str, Any]:
    return {
        "event_id": uuid4().hex,
        "user_id": user,
        "event_name": "view_item",
        "timestamp_ms": int(time.time() * 1000),
        "items": [{"item_id": item}],
    }


def an_impression(**more: Any) -> dict[str, Any]:
    return {
        "impression_id": "i1",
        "user_id": "ann",
        "kind": "shown",
        "placement": "home",
        "items": [{"id": "milk", "position": 1}, {"id": "brie", "position": 2}],
        "list_version": 1,
        "model": "m",
        "timestamp_ms": int(time.time() * 1000),
        **more,
    }


async def until(
    ask: Callable[[], Awaitable[httpx.Response]], is_so: Callable[[httpx.Response], bool]
) -> httpx.Response:
    """The first answer that is so."""
    async with asyncio.timeout(90):
        while True:
            if is_so(found := await ask()):
                return found
            await asyncio.sleep(0.05)


async def test_lists_that_are_nobodys_own_say_where_they_come_from(
    client: httpx.AsyncClient,
) -> None:
    for path, source, items in (
        ("/v1/similar/milk", "similar", ["bread"]),
        ("/v1/similar/brie", "category", ["milk"]),
        ("/v1/similar/unheard of", "trending", ["milk", "brie", "tea"]),
        ("/v1/trending", "trending", ["milk", "brie", "tea"]),
        ("/v1/trending?category=Dairy", "category", ["brie", "milk"]),
        ("/v1/trending?store=12", "store", ["tea"]),
        ("/v1/recommendations/ann", "own", ["brie"]),
        ("/v1/recommendations/ann?placement=basket&cart=milk", "own", ["brie", "bread", "tea"]),
        ("/v1/recommendations/nobody", "trending", ["milk", "brie", "tea"]),
    ):
        found = (await client.get(path)).json()
        assert (found["source"], [row["id"] for row in found["items"]]) == (source, items), path


async def test_impressions_lie_in_their_topic_as_they_were_sent_and_a_beacon_is_enough(
    shop: Shop,
) -> None:
    shown, clicked = an_impression(propensity=[0.5, 1.0]), an_impression(kind="clicked")
    async with httpx.AsyncClient(base_url=shop.server.url) as page:
        for body in (json.dumps(shown), json.dumps([clicked])):
            sent = await page.post(
                f"/v1/impressions?key={shop.key}",
                content=body,
                headers={"Content-Type": "text/plain;charset=UTF-8"},
            )
            assert (sent.status_code, sent.json()) == (202, {"accepted": 1})
    records = [
        (record.key, json.loads(record.value))
        async for record in read_whole(shop.stack.bootstrap_servers, TOPICS.impressions.name)
    ]
    assert records == [(b"ann", shown), (b"ann", clicked)]


@pytest.mark.parametrize(
    ("path", "wrong", "field", "says"),
    [
        ("/v1/impressions", an_impression(kind="seen"), "kind", "seen"),
        ("/v1/impressions", an_impression(items=[{"id": "a"}]), "items[0].position", "missing"),
        ("/v1/impressions", an_impression(propensity=[0.5]), "propensity", "one each"),
        ("/v1/impressions", an_impression(timestamp_ms=1 << 60), "timestamp_ms", "milliseconds"),
        ("/v1/impressions", [an_impression()] * 101, "", "at most 100"),
        ("/v1/events", [a_view("ann"), a_view("ann", "")], "[1].items[0].item_id", "length"),
        ("/v1/events", a_view("ann") | {"event_name": "purchase"}, "transaction_id", "purchase"),
    ],
)
async def test_what_is_posted_wrongly_is_told_its_field_and_the_reason(
    client: httpx.AsyncClient, path: str, wrong: Any, field: str, says: str
) -> None:
    answer = await client.post(path, json=wrong)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert (error["field"], says in error["reason"]) == (field, True), error


async def test_a_person_sees_what_is_known_and_is_forgotten_with_a_receipt(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    store = RedisStore(shop.valkey.url)
    bootstrap = shop.stack.bootstrap_servers
    parts = [
        SessionWorker(Place(bootstrap, TOPICS, f"{PREFIX}-stream", 60_000)),
        Sweeper(bootstrap, TOPICS, f"{PREFIX}-sweep", store.delete_lists),
    ]
    running = [asyncio.create_task(part.run()) for part in parts]
    person = uuid4().hex
    await store.write_lists({person: a_list("milk")})
    events = [a_view(person), a_view(person, "brie") | {"event_name": "add_to_cart"}]
    assert (await client.post("/v1/events", json=events)).json() == {"accepted": 2}
    shown = await until(
        lambda: client.get(f"/v1/users/{person}"), lambda answer: bool(answer.json()["session"])
    )
    session = shown.json()["session"]
    assert (session["cart"], session["events_folded"]) == (["brie"], 2)
    assert session["interactions"][0]["title"] == "Brie"
    assert shown.json()["list"]["items"][0]["id"] == "milk"

    asked = await client.delete(f"/v1/users/{person}")
    assert asked.status_code == 202
    receipt = await until(
        lambda: client.get(asked.headers["location"]),
        lambda answer: answer.status_code == 200 and answer.json()["is_done"],
    )
    assert receipt.json()["removed"]["lists"] == 1
    assert person not in receipt.text
    gone = await until(
        lambda: client.get(f"/v1/users/{person}"), lambda answer: answer.status_code == 404
    )
    assert gone.headers["content-type"] == "application/problem+json"
    for part in parts:
        part.stop()
    await asyncio.gather(*running)
    await store.close()


def test_the_server_does_what_its_openapi_document_says(shop: Shop) -> None:
    """Requests made up from the document, good and bad ones: each answer is one that it describes.

    Left out: that all which fits the document is accepted. A purchase without its transaction_id
    does, and is refused.
    """
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            *("--url", shop.server.url, "--header", f"Authorization: Bearer {shop.key}"),
            *("--phases", "coverage,fuzzing", "--max-examples", "4", "--seed", "1"),
            *("--exclude-checks", "positive_data_acceptance", "--no-color"),
            f"{shop.server.url}/openapi.json",
        ],
        cwd=shop.folder,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert ended.returncode == 0, ended.stdout
    assert "Traceback" not in shop.server.log.read_text()
