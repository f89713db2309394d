"""A ready list that is answered without a task: the same bytes, in the order of the questions, and
whatever cannot be answered so goes by ASGI, as before."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from awaited import until
from prometheus_client import REGISTRY
from starlette.types import ASGIApp, Receive, Scope, Send

from endcap.catalogue import CatalogueItem
from endcap.deploy.list_protocol import ListProtocol
from endcap.deploy.local_stack.ports import free_ports
from endcap.deploy.serve_process import Server, http_config
from endcap.deploy.settings import Settings
from endcap.errors import StoreUnavailableError
from endcap.lists import ListItem, RecommendationList
from endcap.pseudonyms import naming
from endcap.serving.api_keys import parse_keys
from endcap.serving.guard import Access
from endcap.serving.http import Options, create_app
from endcap.serving.memory_store import MemoryStore
from endcap.serving.rate_limits import Rate
from endcap.serving.ruled_lists import RuledLists
from endcap.sessions import Session

READY = RecommendationList(7, "m", 1_764_000_000_000, (ListItem("milk", 0.5, "popular"),))
USER = "ann"
OWN = f"/v1/recommendations/{USER}"
KEY = "a-key-for-readers"


class Answering(MemoryStore):
    """As a store behind a connection: what is asked is answered later."""

    def __init__(self) -> None:
        super().__init__()
        self.says: Callable[[Any], Any] = lambda raw: raw
        self.after_s = 0.0

    async def raw_list(self, user_id: str) -> bytes | None:
        return self._said(await super().raw_list(user_id))

    def tell_list(self, user_id: str, heard: Callable[[Any], None]) -> bool:
        async def tell() -> None:
            await asyncio.sleep(self.after_s)
            raw = await MemoryStore.raw_list(self, user_id)
            heard(self.says(raw))

        self.telling = asyncio.create_task(tell())
        return True

    def _said(self, raw: bytes | None) -> bytes | None:
        said = self.says(raw)
        if isinstance(said, Exception):
            raise said
        return said


class NoSessions:
    async def session(self, _user_id: str) -> Session | None:
        return None


class Tasks:
    """How many requests got one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.n = 0
        usual = ListProtocol.start_task

        def counted(protocol: ListProtocol, cycle: Any, app: Any) -> None:
            self.n += 1
            usual(protocol, cycle, app)

        monkeypatch.setattr(ListProtocol, "start_task", counted)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Tasks:
    return Tasks(monkeypatch)


@pytest.fixture
async def store() -> Answering:
    made = Answering()
    await made.write_lists({USER: READY})
    await made.write_trending(READY)
    await made.write_items([CatalogueItem("milk", "Milk", "Dairy", price=1.19)])
    return made


def app_of(store: MemoryStore, options: Options = Options()) -> ASGIApp:  # noqa: B008
    return create_app(RuledLists(store), None, NoSessions(), options)  # type: ignore[arg-type]


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[tuple[int, Server]]:
    (port,) = free_ports(1)
    # As JSON: what uvicorn sets up for text would stay after the test.
    settings = Settings(http_port=port, log_format="json")
    server = Server(http_config(app, settings))
    serving = asyncio.create_task(server.serve())

    async def has_started() -> bool:
        return server.started

    try:
        await until(has_started)
        yield port, server
    finally:
        server.ask_to_stop()
        await serving


def request(path: str = OWN, *headers: str, version: str = "1.1") -> bytes:
    lines = (f"GET {path} HTTP/{version}", "host: shop", *headers)
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *requests: bytes) -> None:
        self.writer.write(b"".join(requests))

    async def answer(self) -> tuple[bytes, bytes]:
        """Head without the date, and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head)
        assert found
        return re.sub(rb"date: [^\r]+\r\n", b"", head), await self.reader.readexactly(int(found[1]))

    async def ask(self, *headers: str, path: str = OWN) -> tuple[bytes, bytes]:
        self.send(request(path, *headers))
        return await self.answer()


@asynccontextmanager
async def client_of(port: int) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def test_the_answer_is_asgis_to_the_last_byte(store: Answering, tasks: Tasks) -> None:
    at_once = app_of(store)

    async def by_asgi(scope: Scope, receive: Receive, send: Send) -> None:
        await at_once(scope, receive, send)

    async with served(by_asgi) as (port, _), client_of(port) as client:
        usual = await client.ask()
    assert tasks.n == 1
    async with served(at_once) as (port, _), client_of(port) as client:
        assert [await client.ask() for _ in range(3)] == [usual] * 3
    assert tasks.n == 1
    assert b'"title":"Milk"' in usual[1]


async def test_a_request_is_counted_once(store: Answering) -> None:
    def counts() -> list[float]:
        route = {"route": "/v1/recommendations/{user}"}
        return [
            REGISTRY.get_sample_value(name, labels) or 0.0
            for name, labels in (
                ("endcap_http_requests_total", route | {"status": "200"}),
                ("endcap_http_request_seconds_count", route),
                ("endcap_shown_list_age_seconds_count", {}),
            )
        ]

    async with served(app_of(store)) as (port, _), client_of(port) as client:
        before = counts()
        for n in (1, 2):  # at first its item is not known, and it goes by ASGI
            await client.ask()
            assert counts() == [each + n for each in before]


async def test_answers_come_in_the_order_of_questions_sent_together(
    store: Answering, tasks: Tasks
) -> None:
    await store.write_lists({"ben": RecommendationList(8, "m", 1, READY.items)})
    async with served(app_of(store)) as (port, _), client_of(port) as client:
        await client.ask()
        tasks.n = 0
        ben, health = request("/v1/recommendations/ben"), request("/healthz")
        client.send(request(), health, ben, request(), health, ben)
        bodies = [(await client.answer())[1] for _ in range(6)]
        assert [re.sub(rb'.*"version":(\d).*', rb"\1", body) for body in bodies] == [
            *(b"7", b'{"status":"ok"}', b"8") * 2
        ]
        assert tasks.n == 2


@pytest.mark.parametrize("asked", [request(OWN, "connection: close"), request(version="1.0")])
async def test_a_connection_that_is_to_end_ends(store: Answering, asked: bytes) -> None:
    async with served(app_of(store)) as (port, _), client_of(port) as client:
        await client.ask()
        client.send(asked)
        head, body = await client.answer()
        assert b"connection: close" in head
        assert b'"version":7' in body
        assert await client.reader.read() == b""


async def test_what_cannot_be_answered_at_once_is_answered_by_the_application(
    store: Answering, tasks: Tasks
) -> None:
    async with served(app_of(store)) as (port, _), client_of(port) as client:
        await client.ask()
        nobody = await client.ask(path="/v1/recommendations/nobody")
        assert b'"source":"trending"' in nobody[1]
        store.says = lambda _raw: b"{}"
        assert (await client.ask())[0].startswith(b"HTTP/1.1 500")
    store.says = lambda _raw: StoreUnavailableError("Redis is away.")
    async with served(app_of(store)) as (port, _), client_of(port) as client:
        away = await client.ask()
        assert away[0].startswith(b"HTTP/1.1 503")
        store.says = lambda raw: raw
        assert b'"version":7' in (await client.ask())[1]


async def test_a_slow_reader_and_one_who_has_gone_are_left_to_uvicorn(
    store: Answering, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(app_of(store)) as (port, server), client_of(port) as client:
        await client.ask()
        (held,) = server.server_state.connections
        held.flow.pause_writing()
        client.send(request())
        await asyncio.sleep(0.05)
        held.flow.resume_writing()
        assert b'"version":7' in (await client.answer())[1]
        store.after_s, tasks.n = 0.05, 0
        async with client_of(port) as gone:
            gone.send(request())
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert tasks.n == 1
        assert b'"version":7' in (await client.ask())[1]


async def test_a_server_that_stops_answers_what_it_has_begun(store: Answering) -> None:
    async with served(app_of(store)) as (port, server), client_of(port) as client:
        await client.ask()
        store.after_s = 0.3
        client.send(request())
        await asyncio.sleep(0.05)
        server.ask_to_stop()
        head, body = await client.answer()
        assert b"connection: close" in head
        assert b'"version":7' in body


async def test_keys_and_limits_hold_and_cost_one_token_each(store: Answering, tasks: Tasks) -> None:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    keys = parse_keys(
        {
            "page": {"sha256": digest, "roles": ["reader"], "rate_per_s": 3},
            "till": {"sha256": hashlib.sha256(b"till").hexdigest(), "roles": ["writer"]},
        }
    )
    access = Access(keys, Rate(1000.0, 1000))
    app = app_of(store, Options(access=access))
    async with served(app) as (port, _), client_of(port) as client:
        given = f"authorization: Bearer {KEY}"
        heads = [(await client.ask(given))[0][9:12] for _ in range(4)]
        assert heads == [b"200", b"200", b"200", b"429"]
        assert tasks.n == 2  # the first, whose item was not known, and the last
        assert (await client.ask())[0][9:12] == b"401"
        assert (await client.ask("x-api-key: wrong"))[0][9:12] == b"401"
        assert (await client.ask("x-api-key: till"))[0][9:12] == b"403"


async def test_a_shopper_is_renamed_once(store: Answering, tasks: Tasks) -> None:
    name = naming("a secret of the shop")
    assert name
    await store.write_lists({name("eve"): RecommendationList(9, "m", 1, READY.items)})
    async with served(app_of(store, Options(naming=name))) as (port, _), client_of(port) as client:
        for _ in range(2):
            assert b'"version":9' in (await client.ask(path="/v1/recommendations/eve"))[1]
        assert tasks.n == 1
