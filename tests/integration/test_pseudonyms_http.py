"""A shop that knows its shoppers by plain ids, over HTTP, where pseudonyms are kept: export and
erasure go by the plain id, and it lies nowhere."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis.asyncio as redis
from awaited import until
from command_line import ENDCAP, endcap, settings_for
from own_valkey import OwnValkey
from serve_process import ServeProcess

from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports, is_open
from endcap.deploy.local_stack.supervised import Child
from endcap.pseudonyms import pseudonym
from endcap.streams.clients import create_topics, read_whole
from endcap.topics import topics_with_prefix

pytestmark = pytest.mark.integration
SECRET = "a secret of the shop"  # noqa: S105
ANN, BEN, PHONE = "ann-4711", "ben-0815", "phone-2342"
_PREFIX = "pseudonyms"
TOPICS = topics_with_prefix(_PREFIX)


@pytest.mark.timeout(240)
async def test_a_shop_exports_and_erases_by_its_own_ids_and_they_lie_nowhere(
    stack: LocalStack, tmp_path: Path
) -> None:
    await create_topics(stack.bootstrap_servers, TOPICS, 2)
    valkey = OwnValkey(tmp_path)
    settings = settings_for(stack, _PREFIX) | {
        "ENDCAP_REDIS_URL": valkey.url,
        "ENDCAP_PSEUDONYM_SECRET": SECRET,
        "ENDCAP_LOG_FORMAT": "json",
    }
    workers = [_worker(name, tmp_path, settings) for name in ("stream", "rescore")]
    server = ServeProcess(tmp_path, settings | {"ENDCAP_DATA_DIR": str(tmp_path / "serve")})
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            await _shops(client)
            await _is_exported(client, settings)
            await _is_erased(client)
    finally:
        for child in (*workers, server.child):
            child.stop(30)
    places = _files(tmp_path) | await _records(stack) | await _keys(valkey.url)
    valkey.stop()
    for who in (ANN, BEN, PHONE):
        assert [where for where, held in places.items() if who.encode() in held] == []
    # The same search finds what is meant to be there.
    ben = pseudonym(SECRET, BEN)
    found = {where for where, held in places.items() if ben.encode() in held}
    assert {TOPICS.events.name, TOPICS.sessions.name, f"endcap:rec:{{{ben}}}"} <= found


async def _shops(client: httpx.AsyncClient) -> None:
    """Two shoppers, one of whom logs in on a phone; and an event that is wrong."""
    rows = [
        _event(1, ANN, "add_to_cart"),
        _event(2, BEN, "add_to_cart"),
        _event(3, PHONE, "view_item"),
        _event(4, ANN, "identify", anonymous_id=PHONE, items=[]),
    ]
    sent = await client.post("/v1/events", json=rows)
    assert (sent.status_code, sent.json()) == (202, {"accepted": 4})
    bad = await client.post("/v1/events", json=_event(5, ANN, "unheard of"))
    assert bad.status_code == 422

    async def is_there() -> bool:
        shown = [await client.get(f"/v1/users/{who}") for who in (ANN, BEN)]
        held = [each.json() for each in shown if each.status_code == 200]
        return (
            len(held) == 2
            and all(each["session"] and each["list"] for each in held)
            and held[0]["session"]["events_folded"] == 3
        )

    await until(is_there, "sessions and lists")


async def _is_exported(client: httpx.AsyncClient, settings: dict[str, str]) -> None:
    shown = (await client.get(f"/v1/users/{ANN}")).json()
    assert shown["user_id"] == pseudonym(SECRET, ANN)
    assert len(shown["session"]["interactions"]) == 2
    done = await asyncio.to_thread(endcap, "user", "export", ANN, **settings)
    held = json.loads(done.stdout)
    assert held["user_id"] == pseudonym(SECRET, ANN)
    assert held["devices"] == [pseudonym(SECRET, PHONE)]
    assert len(held["raw_events"]) == 3
    assert held["list"]["items"]
    assert ANN not in done.stdout + done.stderr


async def _is_erased(client: httpx.AsyncClient) -> None:
    asked = await client.delete(f"/v1/users/{ANN}")
    assert asked.status_code == 202

    async def is_done() -> httpx.Response | None:
        receipt = await client.get(asked.headers["location"])
        return receipt if receipt.status_code == 200 and receipt.json()["is_done"] else None

    async def is_unknown() -> bool:
        return (await client.get(f"/v1/users/{ANN}")).status_code == 404

    receipt = await until(is_done, "the receipt")
    removed = receipt.json()["removed"]
    assert (removed["sessions"], removed["devices"]) == (2, 1)
    await until(is_unknown, "an answer that nothing is held")
    assert (await client.get(f"/v1/users/{BEN}")).status_code == 200
    assert not any(who in receipt.text for who in (ANN, pseudonym(SECRET, ANN)))


def _event(number: int, user_id: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "event_id": f"e-{number}",
        "user_id": user_id,
        "event_name": name,
        "timestamp_ms": int(time.time() * 1000),
        "items": [{"item_id": "1029743"}],
        **more,
    }


def _worker(name: str, folder: Path, settings: dict[str, str]) -> Child:
    (port,) = free_ports(1)
    more = {"ENDCAP_METRICS_PORT": str(port), "ENDCAP_DATA_DIR": str(folder / name)}
    child = Child(
        f"endcap {name}", [*ENDCAP, name], folder / f"{name}.log", os.environ | settings | more
    )
    child.wait_until(lambda: is_open(port), 60)
    return child


def _files(folder: Path) -> dict[str, bytes]:
    """Stores and logs."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def _records(stack: LocalStack) -> dict[str, bytes]:
    """By topic."""
    return {
        topic.name: b"\n".join(
            [
                part
                async for record in read_whole(stack.bootstrap_servers, topic.name)
                for part in (record.key, record.value, *(value for _, value in record.headers))
                if part
            ]
        )
        for topic in TOPICS
    }


async def _keys(url: str) -> dict[str, bytes]:
    async with redis.Redis.from_url(url) as client:
        return {
            key.decode(): key + (await client.dump(key) or b"")
            for key in [key async for key in client.scan_iter()]
        }
