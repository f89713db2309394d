"""A real broker with TLS and passwords: who may come in does, who may not is told why."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis.asyncio as redis
from acl_request import Allowed
from authorities import Authority
from awaited import until
from guarded_house import PSEUDONYMS, USERS, GuardedHouse
from own_valkey import OwnValkey
from secured_kafka import SecuredKafka
from tls_front import tls_front

from endcap.deploy.kafka_rights import Right
from endcap.errors import BrokerRefusedError, BrokerUnavailableError
from endcap.pseudonyms import pseudonym
from endcap.segments import segment_key
from endcap.streams.clients import read_whole, started_admin, started_consumer, started_producer
from endcap.streams.kafka_security import BrokerAddress, KafkaSecurity

ANN, BEN = "ann", "ben"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    users = {ANN: "right", BEN: "of-ben", **USERS}
    running = SecuredKafka(tmp_path_factory.mktemp("secured"), users)
    asyncio.run(
        running.allow([Allowed(ANN, Right("topic", "shop.", ("Read", "Write"), "prefixed"))])
    )
    yield running
    running.stop()


async def test_who_has_the_password_is_let_in_as_every_kind_of_client(kafka: SecuredKafka) -> None:
    address = kafka.address_of(ANN)
    for started in (started_producer, started_consumer):
        await (await started(address)).stop()
    admin = await started_admin(address)
    await admin.close()


async def test_who_lacks_a_right_is_told_where_the_rights_are_listed(kafka: SecuredKafka) -> None:
    with pytest.raises(BrokerRefusedError, match=r"does not let this user.*endcap topics acls"):
        await started_producer(kafka.address_of(BEN))


async def test_a_wrong_password_is_named_and_is_not_a_broker_that_is_away(
    kafka: SecuredKafka,
) -> None:
    with pytest.raises(BrokerRefusedError) as refused:
        await started_producer(kafka.address_of(ANN, "wrong"))
    assert "refuses the user 'ann' by SCRAM-SHA-512" in str(refused.value)
    assert "kafka_password" in str(refused.value)
    assert "No Kafka broker" not in str(refused.value)
    assert "wrong" not in str(refused.value)


async def test_a_certificate_of_another_authority_is_named(
    kafka: SecuredKafka, tmp_path: Path
) -> None:
    stranger = kafka.address_of(ANN).security._replace(ca_file=Authority(tmp_path).ca)
    with pytest.raises(BrokerRefusedError, match=r"not to be trusted.*kafka_ca_file"):
        await started_consumer(BrokerAddress(kafka.secured_address, stranger))


async def test_a_certificate_of_another_name_is_named(kafka: SecuredKafka) -> None:
    security = kafka.address_of(ANN).security
    elsewhere = kafka.secured_address.replace("127.0.0.1", "localhost")
    with pytest.raises(BrokerRefusedError, match="not to be trusted"):
        await started_admin(BrokerAddress(elsewhere, security))


async def test_a_client_without_tls_is_told_what_to_set(kafka: SecuredKafka) -> None:
    with pytest.raises(BrokerRefusedError, match="kafka_security_protocol"):
        await started_producer(kafka.secured_address)


async def test_tls_towards_a_listener_without_it_is_named(kafka: SecuredKafka) -> None:
    security = kafka.address_of(ANN).security
    with pytest.raises(BrokerRefusedError, match=r"TLS|kafka_security_protocol"):
        await started_producer(BrokerAddress(kafka.open_address, security))


async def test_a_broker_that_is_away_is_still_one_that_is_away() -> None:
    with pytest.raises(BrokerUnavailableError, match="No Kafka broker answers") as away:
        await started_producer(BrokerAddress("127.0.0.1:1", KafkaSecurity("PLAINTEXT")))
    assert not isinstance(away.value, BrokerRefusedError)


SHOPPERS = ("ann-4711", "ben-0815")
REFUSED = "cleo-2342"
DEVICE = "phone-1"
DOORLESS = "dora-5150"
"""Whose rubbish comes by no door: it lies in topics as it came, and is told in no log."""


def _event(user_id: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "event_id": f"{number}-{uuid4().hex}",
        "user_id": user_id,
        "event_name": "add_to_cart",
        "timestamp_ms": int(time.time() * 1000),
        "items": [{"item_id": "1029743"}],
        **more,
    }


@pytest.mark.timeout(240)
async def test_the_whole_house_works_under_guard_and_nothing_names_a_shopper(
    kafka: SecuredKafka, tmp_path: Path
) -> None:
    """Rights, TLS, consent, pseudonyms, logs and traces: looked at in one run of all processes."""
    valkey = OwnValkey(tmp_path)
    house = GuardedHouse(kafka, valkey, tmp_path, "guarded")
    await kafka.allow(house.rights)
    try:
        async with tls_front(valkey.port, kafka.authority.server) as redis_port:
            await _run(house, redis_port)
    finally:
        house.stop()
        house.spans.stop()
        valkey.stop()


async def _run(house: GuardedHouse, redis_port: int) -> None:
    await asyncio.to_thread(house.command, "admin", redis_port, "topics", "create")
    await house.create_source()
    await asyncio.to_thread(house.start, redis_port)
    names = [pseudonym(PSEUDONYMS, user) for user in SHOPPERS]
    door = f"http://127.0.0.1:{house.port}"
    async with httpx.AsyncClient(base_url=door, timeout=30) as client:
        rows = [_event(user, n) for n, user in enumerate(SHOPPERS)]
        rows += [_event(REFUSED, 9, consent="denied")]
        rows += [_event(SHOPPERS[0], 8, event_name="identify", anonymous_id=DEVICE, items=[])]
        sent = await client.post("/v1/events", json=rows, headers={"traceparent": _CALLER})
        assert (sent.status_code, sent.json()) == (202, {"accepted": 3, "denied": 1})
        assert len(sent.headers["x-request-id"]) == 32
        await _is_refused_what_is_wrong(client)
        await _rubbish_comes(house)
        async with asyncio.timeout(90):
            for user in SHOPPERS:
                while (await client.get(f"/v1/recommendations/{user}")).json()["source"] != "own":
                    house.check()
                    await asyncio.sleep(0.1)
            while not (await _has_trending(house) and await _has_segment(house)):
                house.check()
                await asyncio.sleep(0.1)
        await _login_is_folded(client, house)
        await _is_exported(house, redis_port, names[0])
        await asyncio.to_thread(_is_planned, house, redis_port, SHOPPERS[1])
        await _office_tells(client)
        await _rubbish_is_put_aside(house)
        await _is_erased(client, house)
    _traced(house)
    await asyncio.to_thread(house.stop)
    await _named_nowhere(house, names)
    _logged(house)


async def _has_segment(house: GuardedHouse) -> bool:
    async with redis.Redis.from_url(house.valkey.url) as client:
        return bool(await client.exists(segment_key(pseudonym(PSEUDONYMS, SHOPPERS[0]))))


async def _login_is_folded(client: httpx.AsyncClient, house: GuardedHouse) -> None:
    """It goes by the device's partition to the person's, and comes after the list; so does what
    `ingest` brings."""

    async def is_folded() -> bool:
        house.check()
        shown = await client.get(f"/v1/users/{SHOPPERS[0]}/session")
        return shown.status_code == 200 and shown.json()["events_folded"] == 3

    await until(is_folded, "the login and the source's event in the session")


async def _is_refused_what_is_wrong(client: httpx.AsyncClient) -> None:
    """Each in another way, and each with a shopper's id in what is wrong."""
    who = SHOPPERS[0]
    bad = await client.post("/v1/events", json=_event(who, 7, event_name="nonsense"))
    cut = await client.post("/v1/events", content=json.dumps(_event(who, 6))[:-1])
    large = await client.post("/v1/events", content=who * 40_000)
    unknown = await client.get(f"/v1/recommendations/{who}", params={"whose": who})
    nowhere = await client.get(f"/v1/nowhere/{who}")
    answers = (bad, cut, large, unknown, nowhere)
    assert [each.status_code for each in answers] == [422, 422, 413, 422, 404]


async def _rubbish_comes(house: GuardedHouse) -> None:
    """To each topic that a process reads, by a producer of the shop's own."""
    topics = house.settings.topics
    producer = await started_producer(house.kafka.open_address)
    key, said = DOORLESS.encode(), b'{"user_id": "%s", "item_id": 7}' % DOORLESS.encode()
    try:
        for topic in (topics.events, topics.erasures, topics.catalogue, topics.item_deltas):
            for value in (said, b"rubbish of %s" % key, b'{"of": "%s\xff"}' % key, _deep(key)):
                await producer.send_and_wait(topic.name, value, key)
            await producer.send_and_wait(topic.name, said, key + b"\xff")
        await producer.send_and_wait(house.source, b"rubbish of %s" % key, key)
        bought = _event(SHOPPERS[0], 5, event_name="purchase", transaction_id="t-1")
        row = json.dumps(bought).encode()
        await producer.send_and_wait(house.source, row)
    finally:
        await producer.stop()


def _deep(name: bytes) -> bytes:
    """JSON that nests deeper than a decoder goes."""
    return b'{"of": "%s", "in": %s1%s}' % (name, b"[" * 5_000, b"]" * 5_000)


async def _is_exported(house: GuardedHouse, redis_port: int, name: str) -> None:
    """By the id that the shop knows: all that is held under the pseudonym."""
    export = ("operator", redis_port, "user", "export", SHOPPERS[0])
    printed = await asyncio.to_thread(house.command, *export)
    held = json.loads(printed)
    assert held["user_id"] == name
    assert {row["item_id"] for row in held["session"]["interactions"]} == {"1029743"}
    assert len(held["raw_events"]) == 3  # by HTTP, at the device's login, and by the source
    assert held["list"]["items"]
    assert SHOPPERS[0] not in printed


def _is_planned(house: GuardedHouse, redis_port: int, who: str) -> None:
    """A contact of a campaign, from the shop's own file, with the shop's own id."""
    plans, rows = house.folder / "campaigns.yaml", house.folder / "candidates.csv"
    plans.write_text("campaigns:\n- {name: s, budget: 9, cost: 1, subject: a, body: b}\n")
    rows.write_text(f"user_id,campaign,uplift,consent,contacts\n{who},s,5,true,0\n")
    plan = ("campaign", "plan", str(plans), "--candidates", str(rows), "--send", "--json")
    told = json.loads(house.command("operator", redis_port, *plan))
    assert (told["contacts"] + told["held_out"], told["sent"]) == (1, 1)
    rows.unlink()  # the shop's file, and not a place where endcap keeps something


async def _office_tells(client: httpx.AsyncClient) -> None:
    """What the back office shows of shoppers."""
    for page in (f"segments/{SHOPPERS[0]}", "conversations", "status"):
        said = await client.get(f"/office/data/{page}")
        assert said.status_code == 200, said.text
        assert SHOPPERS[0] not in said.text


async def _rubbish_is_put_aside(house: GuardedHouse) -> None:
    """Each process that read some is still there, and what it makes letters of is a letter."""
    async with asyncio.timeout(60):
        while True:
            house.check()
            letters = [
                dict(record.headers)["__streams.errors.topic"]
                async for record in read_whole(
                    house.kafka.open_address, house.settings.topics.dead_letters.name
                )
            ]
            if len(letters) >= 11:
                return
            await asyncio.sleep(0.1)


async def _is_erased(client: httpx.AsyncClient, house: GuardedHouse) -> None:
    """By everybody who holds something: the session worker, and the rescorer's sweep."""
    asked = await client.delete(f"/v1/users/{SHOPPERS[1]}")
    assert asked.status_code == 202

    async def is_done() -> bool:
        house.check()
        receipt = await client.get(asked.headers["location"])
        return receipt.status_code == 200 and bool(receipt.json()["is_done"])

    await until(is_done, "the receipt of the erasure")


_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_CALLER = f"00-{_TRACE}-00f067aa0ba902b7-01"


async def _has_trending(house: GuardedHouse) -> bool:
    async with redis.Redis.from_url(house.valkey.url) as client:
        held = await client.get("endcap:trending")
        return held is not None and json.loads(held)["model"] != "completejourney"


def _traced(house: GuardedHouse) -> None:
    """One trace, from the caller by HTTP and Kafka to Redis."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        spans = {span.own: span for span in list(house.spans.spans) if span.trace == _TRACE}
        written = [span for span in spans.values() if span.name == "write list"]
        folds = [spans.get(each.parent) for each in written]
        if written and all(fold is not None and fold.parent in spans for fold in folds):
            break
        time.sleep(0.05)  # the processes send what they have now and then
    assert written, [span[:3] for span in house.spans.spans]
    for span in written:
        fold = spans[span.parent]
        request = spans[fold.parent]
        assert [span.process, fold.process, request.process] == [
            "endcap-rescore",
            "endcap-stream",
            "endcap-serve",
        ]
        assert (fold.name, request.name) == ("fold", "POST /v1/events")
        assert request.parent == _CALLER.split("-")[2]


async def _named_nowhere(house: GuardedHouse, names: list[str]) -> None:
    """In no topic, not in Redis, in no store on disk, in no log and no span."""
    texts: dict[str, bytes] = {}
    for topic in house.settings.topics:
        held = b""
        async for record in read_whole(house.kafka.open_address, topic.name):
            parts = [record.key or b"", record.value or b"", *(v for _, v in record.headers)]
            held += b"".join(parts)
        texts[topic.name] = held
    async with redis.Redis.from_url(house.valkey.url) as client:
        for key in [key async for key in client.scan_iter()]:
            texts[key.decode()] = key + (await client.dump(key) or b"")
    for path in house.folder.rglob("*"):
        if path.is_file() and "authority" not in path.parts:
            texts[str(path)] = path.read_bytes()
    texts["spans"] = "".join(span.raw for span in house.spans.spans).encode()
    told = [texts["spans"], *(text.encode() for text in house.logs().values())]
    assert not any(DOORLESS.encode() in each for each in told)
    for who in (*SHOPPERS, REFUSED, DEVICE):
        assert [where for where, held in texts.items() if who.encode() in held] == []
    # The same search finds what is meant to be there.
    kept = [where for where, held in texts.items() if names[0].encode() in held]
    assert {"guarded.events", "guarded.sessions", f"endcap:rec:{{{names[0]}}}"} <= set(kept)
    refused = pseudonym(PSEUDONYMS, REFUSED).encode()
    assert [where for where, held in texts.items() if refused in held] == []


def _logged(house: GuardedHouse) -> None:
    """Each line is an object; requests have an id; nobody's pseudonym is in a line either."""
    for process, text in house.logs().items():
        lines = [json.loads(line) for line in text.splitlines()]
        assert all(line["process"] == process for line in lines)
        assert not any(pseudonym(PSEUDONYMS, who) in text for who in SHOPPERS)
    requests = [
        line
        for line in map(json.loads, house.logs()["serve"].splitlines())
        if line["logger"] == "endcap.requests"
    ]
    posted = [line for line in requests if line["route"] == "/v1/events"]
    assert [line["status"] for line in posted] == [202, 422, 422, 413]
    assert all(len(line["request_id"]) == 32 for line in posted)
    told = {line["route"] for line in requests}
    assert {"/v1/recommendations/{user}", "/v1/users/{user}/session", "unmatched"} <= told
    assert "/office/data/segments/{user}" in told
