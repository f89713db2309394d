"""The HTTP server as it runs: its short ways, its end, and its store that goes away."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from command_line import endcap, settings_for
from own_valkey import OwnValkey
from serve_process import ServeProcess

from endcap.bundle import load_bundle
from endcap.catalogue import CatalogueItem
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.settings import BUNDLES
from endcap.lists import ListItem, RecommendationList
from endcap.policy import Policy
from endcap.serving.http import create_app
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.redis_store import RedisStore
from endcap.serving.rescore_request import MAX_BODY_BYTES, parse_request, session_of
from endcap.serving.rescorer import rescore
from endcap.serving.ruled_lists import RuledLists
from endcap.streams.clients import create_topics
from endcap.topics import topics_with_prefix

pytestmark = pytest.mark.integration


class Shop:
    """A server, and the store that it alone reads."""

    def __init__(self, server: ServeProcess, valkey: OwnValkey) -> None:
        self.server = server
        self.valkey = valkey


@pytest.fixture(scope="module")
def shop(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("serve")
    prefix = f"t{uuid4().hex[:8]}"
    asyncio.run(create_topics(stack.bootstrap_servers, topics_with_prefix(prefix), 1))
    valkey = OwnValkey(folder)
    settings = settings_for(stack, prefix) | {
        "ENDCAP_REDIS_URL": valkey.url,
        "ENDCAP_HTTP_RESCORE": "true",
    }
    server = ServeProcess(folder, settings)
    yield Shop(server, valkey)
    server.child.stop()
    valkey.stop()


@pytest.fixture
async def store(shop: Shop) -> AsyncIterator[RedisStore]:
    opened = RedisStore(shop.valkey.url)
    yield opened
    await opened.close()


@pytest.fixture
async def client(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=shop.server.url, timeout=30) as opened:
        yield opened


def a_list(*items: str) -> RecommendationList:
    rows = tuple(ListItem(item, 0.5, 'often bought with "Brie", à la carte') for item in items)
    return RecommendationList(1, "m", 1_764_000_000_123, rows)


async def test_the_short_way_and_the_applications_give_the_same_answer(
    shop: Shop, store: RedisStore, client: httpx.AsyncClient
) -> None:
    odd = 'a "b" \\ ü'
    await store.write_items(
        [CatalogueItem("milk", "Milk", "Dairy", price=1.25), CatalogueItem("bread", "Bread")]
    )
    await store.write_lists({odd: a_list("milk", "bread", "nobody knows it")})
    app: Any = create_app(RuledLists(store), None, None)
    behind = app.application
    path = "/v1/recommendations/" + quote(odd)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=behind), base_url="http://shop"
    ) as plain:
        by_application = await plain.get(path)
    by_server = await client.get(path)
    assert by_server.content == by_application.content
    assert by_server.headers["content-type"] == by_application.headers["content-type"]
    rows = by_server.json()["items"]
    assert rows[0] == {
        "id": "milk",
        "score": 0.5,
        "reason": 'often bought with "Brie", à la carte',
        "title": "Milk",
        "category": "Dairy",
        "price": 1.25,
    }
    assert (rows[1]["title"], rows[1]["price"]) == ("Bread", None)
    assert rows[2].keys() == {"id", "score", "reason"}


async def test_requests_are_counted_by_their_route_and_no_user_is_named(
    shop: Shop, store: RedisStore, client: httpx.AsyncClient
) -> None:
    user = uuid4().hex
    await store.write_lists({user: a_list("milk")})
    assert (await client.get(f"/v1/recommendations/{user}")).status_code == 200
    said = (await client.get("/metrics")).text
    assert 'endcap_http_requests_total{route="/v1/recommendations/{user}",status="200"}' in said
    assert user not in said
    assert user not in shop.server.log.read_text()
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert {"/v1/recommendations/{user}", "/healthz", "/v1/rescore"} <= paths.keys()


async def test_without_redis_the_answer_is_a_problem_until_it_is_back(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    user = uuid4().hex
    path = f"/v1/recommendations/{user}"
    shop.valkey.stop()
    away = await client.get(path)
    assert (away.status_code, away.headers["retry-after"]) == (503, "1")
    assert away.headers["content-type"] == "application/problem+json"
    assert "ENDCAP_REDIS_URL" in away.json()["detail"]
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/healthz")).status_code == 200
    shop.valkey.start()
    store = RedisStore(shop.valkey.url)
    await store.write_lists({user: a_list("milk")})
    await store.close()
    assert (await client.get(path)).json()["items"][0]["id"] == "milk"


async def test_a_session_in_the_body_gets_the_list_that_the_stream_would_give_it(
    client: httpx.AsyncClient,
) -> None:
    bundle = load_bundle(BUNDLES / "completejourney")
    items = [bundle.item(index).item_id for index in (3, 40, 500)]
    now_ms = int(time.time() * 1000)
    events = [
        {"item_id": item, "event_name": "view_item", "timestamp_ms": now_ms - 1000 * (9 - at)}
        for at, item in enumerate(items)
    ]
    body = httpx.Request("POST", "http://shop", json={"events": events}).content
    wanted = rescore(
        [session_of(parse_request(body, now_ms))], bundle, OnnxScorer(bundle, threads=1), Policy()
    )[""]
    found = await client.post("/v1/rescore", json={"events": events})
    assert (found.status_code, found.json()["source"]) == (200, "request")
    assert [row["id"] for row in found.json()["items"]] == [item.id for item in wanted.items]
    shuffled = await client.post("/v1/rescore", json={"events": events[::-1]})
    assert shuffled.json()["items"] == found.json()["items"]
    named = [item.id for item in wanted.items[5:8]]
    among = await client.post(
        "/v1/rescore", json={"events": events, "candidates": [*named, "unheard of"], "size": 2}
    )
    assert [row["id"] for row in among.json()["items"]] == named[:2]


async def test_requests_that_come_together_each_get_their_own_list(
    client: httpx.AsyncClient,
) -> None:
    bundle = load_bundle(BUNDLES / "completejourney")
    bodies = [
        {
            "events": [
                {
                    "item_id": bundle.item(1 + 37 * number).item_id,
                    "event_name": "add_to_cart",
                    "timestamp_ms": 1_700_000_000_000,
                }
            ],
            "size": 5 + number % 2,
        }
        for number in range(40)
    ]
    alone = [(await client.post("/v1/rescore", json=body)).json()["items"] for body in bodies]
    asked = [client.post("/v1/rescore", json=body) for body in bodies]
    together = [answer.json()["items"] for answer in await asyncio.gather(*asked)]
    ids = [[row["id"] for row in rows] for rows in alone]
    assert [[row["id"] for row in rows] for rows in together] == ids
    assert [len(rows) for rows in ids] == [body["size"] for body in bodies]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{", "not JSON"),
        ("{}", "events"),
        ('{"events":[],"evnets":[]}', "evnets"),
        (
            '{"events":[{"item_id":"","event_name":"view_item","timestamp_ms":1700000000000}]}',
            "length >= 1",
        ),
        ('{"events":[{"item_id":"a","event_name":"buy","timestamp_ms":1700000000000}]}', "buy"),
        (
            '{"events":[{"item_id":"a","event_name":"view_item","timestamp_ms":9000000000000000}]}',
            "ahead",
        ),
        ('{"events":[],"size":1000}', "<= 100"),
    ],
)
async def test_a_request_to_rescore_that_is_wrong_is_told_what(
    client: httpx.AsyncClient, body: str, says: str
) -> None:
    answer = await client.post("/v1/rescore", content=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/rescore"])
async def test_a_body_above_the_limit_is_refused_whether_or_not_it_says_its_length(
    client: httpx.AsyncClient, path: str
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 4096 + 1):
            yield b" " * 4096

    for content in (b" " * (MAX_BODY_BYTES + 1), chunks()):
        answer = await client.post(path, content=content)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"


def test_sigterm_ends_it_cleanly_and_connections_that_are_kept_do_not_hold_it(
    stack: LocalStack, tmp_path: Path
) -> None:
    prefix = f"t{uuid4().hex[:8]}"
    asyncio.run(create_topics(stack.bootstrap_servers, topics_with_prefix(prefix), 1))
    server = ServeProcess(tmp_path, settings_for(stack, prefix))
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        answer = client.post("/v1/rescore", json={"events": []})
        assert (answer.status_code, "ENDCAP_HTTP_RESCORE" in answer.text) == (404, True)
        taken = endcap("serve", "--http-port", server.port, **settings_for(stack, prefix))
        assert taken.returncode != 0
        assert "is taken" in taken.stderr
        server.child.ask_to_stop()
        server.child.wait_for_success(30)
    assert "Traceback" not in server.log.read_text()
