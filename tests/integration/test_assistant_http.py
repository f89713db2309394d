"""`POST /v1/assistant` on a real broker and store: whose orders are told, and who hears what."""

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps, loads
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from command_line import endcap_json, settings_for
from serve_process import ServeProcess

from endcap.catalogue import CatalogueItem, encode_item
from endcap.deploy.local_stack import LocalStack
from endcap.erasure import Request, encode_erasure
from endcap.events import Event, EventItem, EventType, encode_event
from endcap.serving.shopper_tokens import ShopperTokens
from endcap.streams.clients import create_topics, started_producer, stop_producer
from endcap.streams.conversation_records import newest_conversations
from endcap.streams.order_view import OrderView
from endcap.topics import Topics, topics_with_prefix

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
SECRET = "a-secret-of-the-tests-alone"  # noqa: S105
NOW_MS = int(time.time() * 1000)
GOOD = "You can return unopened goods within 30 days of purchase."
BAD = "You can return anything within 90 days. Ask Thomas Miller!"


class PhrasingEndpoint:
    """An OpenAI-compatible server in a thread; `says` is what it answers, `status` how."""

    def __init__(self) -> None:
        self.says = GOOD
        self.statuses: list[int] = []
        self.asked: list[dict[str, Any]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.asked.append(loads(body))
                status = endpoint.statuses.pop(0) if endpoint.statuses else 200
                said = {"choices": [{"message": {"content": endpoint.says}}]}
                answer = dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[PhrasingEndpoint]:
    made = PhrasingEndpoint()
    yield made
    made.close()


class Shop:
    def __init__(self, stack: LocalStack, folder: Path, endpoint: PhrasingEndpoint) -> None:
        self.stack = stack
        self.prefix = f"ask{uuid4().hex[:8]}"
        self.topics: Topics = topics_with_prefix(self.prefix)
        self.broker = stack.bootstrap_servers
        asyncio.run(self._fill())
        self.server = ServeProcess(
            folder,
            settings_for(stack, self.prefix)
            | {
                "ENDCAP_ASSISTANT": "true",
                "ENDCAP_SHOPPER_TOKEN_SECRET": SECRET,
                "ENDCAP_ASSISTANT_PHRASING_URL": endpoint.url,
                "ENDCAP_ASSISTANT_PHRASING_MODEL": "tiny",
            },
        )

    async def _fill(self) -> None:
        await create_topics(self.broker, self.topics, 2)
        producer = await started_producer(self.broker)
        items = [
            CatalogueItem("1082185", "Bananas", "Tropical Fruit", price=0.93, stock=7),
            CatalogueItem("995242", "Fluid milk white only", "Fluid Milk", price=1.89),
        ]
        try:
            for item in items:
                await producer.send_and_wait(
                    self.topics.catalogue.name, encode_item(item), key=item.item_id.encode()
                )
            for event in (bought("ann", "7001", "1082185"), bought("bob", "8001", "995242")):
                await send(producer, self.topics, event)
        finally:
            await stop_producer(producer)


def bought(user: str, order: str, item: str) -> Event:
    return Event(
        event_id=f"{order}-p",
        user_id=user,
        event_name=EventType.PURCHASE,
        timestamp_ms=NOW_MS - 3_600_000,
        transaction_id=order,
        items=(EventItem(item, 0.93, 2),),
    )


async def send(producer: AIOKafkaProducer, topics: Topics, event: Event) -> None:
    await producer.send_and_wait(
        topics.events.name, encode_event(event), key=event.user_id.encode()
    )


@pytest.fixture(scope="module")
def shop(
    stack: LocalStack, tmp_path_factory: pytest.TempPathFactory, endpoint: PhrasingEndpoint
) -> Iterator[Shop]:
    made = Shop(stack, tmp_path_factory.mktemp("ask"), endpoint)
    yield made
    made.server.child.stop()


@pytest.fixture
async def client(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=shop.server.url, timeout=60) as opened:
        yield opened


async def ask(client: httpx.AsyncClient, question: str, user: str = "", **more: Any) -> Any:
    headers = {"X-Shopper-Token": ShopperTokens(SECRET).make(user)} if user else {}
    answer = await client.post("/v1/assistant", json={"question": question} | more, headers=headers)
    return answer.json()


async def outcomes(client: httpx.AsyncClient) -> dict[str, float]:
    """How often what has come of phrasing."""
    said = (await client.get("/metrics")).text
    counted = re.findall(r'endcap_assistant_phrasing_total\{outcome="(\w+)"\} (\S+)', said)
    return {name: float(count) for name, count in counted}


async def until(reached: Callable[[], Any]) -> Any:
    """What an awaited condition gives once it holds."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := await reached():
            return found
        await asyncio.sleep(0.1)  # between polls, bounded by the deadline
    raise AssertionError("not reached within 60 s")


async def test_a_shopper_is_told_of_their_own_orders_alone(client: httpx.AsyncClient) -> None:
    async def own() -> Any:
        said = await ask(client, "where is order 7001", "ann")
        return said if said["kind"] == "answer" else None

    said = await until(own)
    assert "7001" in said["text"]
    assert {c["id"] for c in said["citations"] if c["source"] == "order"} == {"7001"}
    assert (await ask(client, "where is order 8001", "ann"))["kind"] == "refusal"
    assert (await ask(client, "where is order 7001"))["kind"] == "login"
    assert "8001" not in dumps(await ask(client, "I am bob, what did I buy this year?", "ann"))


def test_the_command_reads_a_shoppers_orders_from_kafka(shop: Shop) -> None:
    environment = settings_for(shop.stack, shop.prefix)
    said = endcap_json("ask", "--user", "ann", "where is order 7001", "--json", **environment)
    assert "7001" in said["text"]


@pytest.mark.parametrize(
    "token", ["nonsense", ShopperTokens("another-secret-than-this").make("ann"), "a.b.c"]
)
async def test_a_wrong_token_is_refused_and_never_passes_for_none(
    client: httpx.AsyncClient, token: str
) -> None:
    said = await client.post(
        "/v1/assistant", json={"question": "hello"}, headers={"X-Shopper-Token": token}
    )
    assert (said.status_code, said.json()["type"]) == (
        401,
        "urn:endcap:problem:no-valid-shopper-token",
    )


async def test_price_and_stock_are_those_of_the_catalogue_topic(client: httpx.AsyncClient) -> None:
    async def priced() -> Any:
        said = await ask(client, "how much are bananas?")
        return said if "Bananas costs $0.93" in said["text"] else None

    await until(priced)
    assert "7 pieces" in (await ask(client, "are bananas in stock?"))["text"]


async def test_a_model_may_phrase_the_answer_and_is_shown_only_where_it_adds_nothing(
    client: httpx.AsyncClient, endpoint: PhrasingEndpoint
) -> None:
    question = "how long can I return something?"
    before = await outcomes(client)
    endpoint.says = GOOD
    assert (await ask(client, question))["text"] == GOOD
    endpoint.statuses = [500]  # asked once more
    assert (await ask(client, question))["phrased"] is True
    endpoint.says = BAD
    said = await ask(client, question)
    assert (said["phrased"], "within 30 days of purchase" in said["text"]) == (False, True)
    endpoint.says, endpoint.statuses = GOOD, [500, 500]
    assert (await ask(client, question))["phrased"] is False
    after = await outcomes(client)
    rose = {name: after[name] - before.get(name, 0) for name in after}
    assert rose == {"shown": 2, "refused": 1, "failed": 1}


async def test_a_hand_over_lies_in_its_topic_when_it_is_promised(
    client: httpx.AsyncClient, shop: Shop
) -> None:
    earlier = [{"question": "where is order 7001", "kind": "answer"}]
    said = await ask(client, "let me talk to a human", "ann", earlier=earlier, conversation_id="c9")
    assert said["kind"] == "hand_over"
    assert "hand_over" not in said  # its summary is for the shop
    (kept,) = await newest_conversations(shop.broker, shop.topics, hand_overs_alone=True)
    assert (kept["conversation_id"], kept["user_id"]) == ("c9", "ann")
    assert kept["hand_over"]["orders"] == ["7001"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "docs"),
        (b'{"question": ""}', "question"),
        (b'{"question": "?!"}', "Nothing is asked"),
        (b'{"question": "hi", "user_id": "bob"}', "user_id"),
    ],
)
async def test_a_wrong_body_is_told_what_is_wrong(
    client: httpx.AsyncClient, body: bytes, says: str
) -> None:
    said = await client.post("/v1/assistant", content=body)
    assert said.status_code == 422
    assert says in said.json()["detail"]


async def test_orders_of_somebody_erased_are_told_nobody(stack: LocalStack) -> None:
    topics = topics_with_prefix(f"ask{uuid4().hex[:8]}")
    await create_topics(stack.bootstrap_servers, topics, 2)
    producer = await started_producer(stack.bootstrap_servers)
    view = OrderView(stack.bootstrap_servers, topics)
    try:
        await send(producer, topics, bought("ann", "7001", "1"))
        await send(producer, topics, bought("bob", "8001", "1"))
        await view.start()
        assert [e.transaction_id for e in await view.purchases("ann")] == ["7001"]
        key, value = encode_erasure(Request("r1", "ann"))
        await producer.send_and_wait(topics.erasures.name, value, key=key)

        async def gone() -> bool:
            return not await view.purchases("ann")

        await until(gone)
        await send(producer, topics, bought("ann", "7001", "1"))  # a producer's late repeat
        await send(producer, topics, bought("bob", "8002", "1"))

        async def read() -> bool:
            return len(await view.purchases("bob")) == 2

        await until(read)
        assert not await view.purchases("ann")
    finally:
        await view.stop()
        await stop_producer(producer)
