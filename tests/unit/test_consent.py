"""Who has refused is not stored: not at the door, not by the fold, and in no dead letter."""

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import endcap.serving
from endcap.adapters import BUILT_IN, field_mapping, json_object, mapped, translate
from endcap.errors import ConsentDeniedError, InvalidEventError
from endcap.events import Event, parse_event
from endcap.pseudonyms import naming, pseudonym
from endcap.serving.http import Options, create_app
from endcap.serving.memory_store import MemoryStore
from endcap.serving.pseudonym_door import BEFORE_USER
from endcap.serving.ruled_lists import RuledLists
from endcap.sessions import Session
from endcap.streams.folded_batch import Partition
from endcap.streams.ingest_batch import Source, ingest_batch
from endcap.streams.record_decoders import PlainDecoder
from endcap.streams.session_batch import fold_batch

NOW_MS = int(time.time() * 1000)
SECRET = "a secret of the shop"  # noqa: S105


def event(user_id: str, number: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "event_id": f"{user_id}-{number}",
        "user_id": user_id,
        "event_name": "view_item",
        "timestamp_ms": NOW_MS,
        "items": [{"item_id": "apple"}],
        **more,
    }


def denied(user_id: str, **more: Any) -> dict[str, Any]:
    return event(user_id, consent="denied", **more)


class Sent:
    """What the server let through, of either kind."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    async def send_all(self, events: Sequence[Any]) -> None:
        self.events += events


class Seen:
    """Whose session was asked for."""

    def __init__(self) -> None:
        self.users: list[str] = []

    async def session(self, user_id: str) -> Session | None:
        self.users.append(user_id)
        return None


class Server(NamedTuple):
    client: httpx.AsyncClient
    events: Sent
    impressions: Sent
    seen: Seen


def server(secret: str = "") -> Server:
    events, impressions, seen = Sent(), Sent(), Seen()
    options = Options(impressions=impressions, naming=naming(secret))
    app = create_app(RuledLists(MemoryStore()), events, seen, options)
    transport = httpx.ASGITransport(app=app)
    return Server(
        httpx.AsyncClient(transport=transport, base_url="http://shop"), events, impressions, seen
    )


class Sourced(NamedTuple):
    """A record of the events topic."""

    value: bytes
    offset: int
    key: bytes = b"ann"
    timestamp: int = NOW_MS
    timestamp_type: int = 1
    topic: str = "events"
    partition: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


async def test_http_drops_what_is_denied_and_says_how_many() -> None:
    door = server()
    answer = await door.client.post("/v1/events", json=[event("ann"), denied("ben")])
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "denied": 1})
    assert [each.user_id for each in door.events.events] == ["ann"]
    one = await door.client.post("/v1/events", json=denied("ben"))
    assert one.json() == {"accepted": 0, "denied": 1}


async def test_a_denied_event_that_is_wrong_as_well_is_dropped_and_not_argued_about() -> None:
    door = server()
    answer = await door.client.post("/v1/events", json=denied("ben", event_name="unheard of"))
    assert (answer.status_code, answer.json()) == (202, {"accepted": 0, "denied": 1})


async def test_impressions_of_who_denied_are_dropped_and_consent_is_not_stored_with_others() -> (
    None
):
    shown = {
        "impression_id": "1",
        "user_id": "ann",
        "kind": "shown",
        "placement": "home",
        "items": [{"id": "apple", "position": 1}],
        "list_version": 1,
        "model": "m",
        "timestamp_ms": NOW_MS,
    }
    door = server()
    rows = [shown | {"consent": "granted"}, shown | {"user_id": "ben", "consent": "denied"}]
    answer = await door.client.post("/v1/impressions", json=rows)
    assert answer.json() == {"accepted": 1, "denied": 1}
    assert [key for key, _ in door.impressions.events] == ["ann"]
    assert b"consent" not in door.impressions.events[0][1]


@pytest.mark.parametrize("natively", [False, True])
def test_the_fold_keeps_nothing_of_a_denied_event_not_even_as_a_dead_letter(natively: bool) -> None:
    escaped = json.dumps(denied("ben")).replace("consent", "\\u0063onsent")
    values = [
        json.dumps(event("ann")),
        json.dumps(denied("ben")),
        json.dumps(denied("ben", event_name="unheard of")),
        json.dumps(denied("ben"))[:-1],  # cut
        escaped,
    ]
    values += [
        json.dumps(event("ben", consent=False)),
        json.dumps(denied("ben", event_name="unheard of")).replace("consent", "\\u0063onsent"),
    ]
    records = [Sourced(value.encode(), offset) for offset, value in enumerate(values)]
    batch = fold_batch(records, Partition(0, 1), lambda _: None, NOW_MS, natively=natively)
    assert set(batch.snapshots) == {"ann"}
    assert batch.dead_letters == []
    assert batch.outcomes["consent_denied"] == 6
    assert all(b"ben" not in delta for delta in batch.deltas)


def test_granted_is_folded_as_if_nothing_were_said() -> None:
    plain, granted = event("ann"), event("ann", consent="granted")
    batches = [
        fold_batch([Sourced(json.dumps(each).encode(), 0)], Partition(0, 1), lambda _: None, NOW_MS)
        for each in (plain, granted)
    ]
    assert batches[0].snapshots == batches[1].snapshots


async def test_consent_that_is_false_is_a_refusal_at_the_door_too() -> None:
    door = server()
    answer = await door.client.post("/v1/events", json=event("ben", consent=False))
    assert (answer.status_code, answer.json()) == (202, {"accepted": 0, "denied": 1})


PREFERENCES = {"categoryPreferences": {"Analytics": False}}
SEGMENT = {
    "type": "track",
    "event": "Product Viewed",
    "messageId": "1",
    "userId": "ann",
    "timestamp": "2026-01-01T00:00:00Z",
    "properties": {"product_id": "apple"},
}


@pytest.mark.parametrize(
    ("adapter", "row"),
    [
        ("native", denied("ann")),
        ("segment", SEGMENT | {"consent": "denied"}),
        ("segment", SEGMENT | {"context": {"consent": PREFERENCES}}),
        ("rees46", {"user_id": "1", "consent": "denied"}),
        ("native", {"consent": False, "user_id": "ann"}),
    ],
)
def test_every_adapter_drops_what_is_denied(adapter: str, row: dict[str, Any]) -> None:
    with pytest.raises(ConsentDeniedError):
        translate(json.dumps(row).encode(), json_object, BUILT_IN[adapter], NOW_MS)


def test_a_field_mapping_drops_what_is_denied() -> None:
    mapping = field_mapping(
        {"user": "u", "item": "i", "type": "t", "time": "at", "types": {"v": "view_item"}}
    )
    row = {"u": "ann", "i": "apple", "t": "v", "at": NOW_MS, "consent": "denied"}
    with pytest.raises(ConsentDeniedError):
        translate(json.dumps(row).encode(), json_object, mapped(mapping), NOW_MS)


def test_a_word_in_a_search_is_no_refusal_and_another_word_is_refused_as_wrong() -> None:
    said = event("ann", event_name="search", search_term='"consent": "denied"')
    assert parse_event(json.dumps(said).encode(), NOW_MS).user_id == "ann"
    with pytest.raises(InvalidEventError) as wrong:
        parse_event(json.dumps(event("ann", consent="perhaps")).encode(), NOW_MS)
    assert not isinstance(wrong.value, ConsentDeniedError)


async def test_ingest_sends_and_keeps_nothing_of_who_denied() -> None:
    cloud_event = {"id": "1", "source": "/web", "data": denied("ben")}
    structured = (("content-type", b"application/cloudevents+json"),)
    records = [
        Sourced(json.dumps(event("ann")).encode(), 0),
        Sourced(json.dumps(denied("ben")).encode(), 1),
        Sourced(json.dumps(denied("ben"))[:-1].encode(), 2),
        Sourced(json.dumps(cloud_event).encode(), 3, headers=structured),
        Sourced(json.dumps(event("cut"))[:-1].encode(), 4),
    ]
    source = Source("web", "events", PlainDecoder(json_object), BUILT_IN["native"])
    batch = await ingest_batch(source, records, NOW_MS, 1)
    assert batch.outcomes == {"sent": 1, "consent_denied": 3, "dead_letter": 1, "ignored": 0}
    assert [key for rows in batch.events.values() for key, _, _ in rows] == [b"ann"]
    assert [letter.record.offset for letter in batch.dead_letters] == [4]


async def test_under_pseudonyms_no_route_sees_an_id_as_it_came() -> None:
    door = server(SECRET)
    named = pseudonym(SECRET, "ann")
    await door.client.post("/v1/events", json=event("ann", anonymous_id="phone"))
    (sent,) = door.events.events
    assert isinstance(sent, Event)
    assert (sent.user_id, sent.anonymous_id) == (named, pseudonym(SECRET, "phone"))
    await door.client.get("/v1/users/ann/session")
    await door.client.get(f"/v1/users/{named}/session")
    assert door.seen.users == [named, named]


def test_every_route_with_a_shopper_in_its_path_is_behind_the_door() -> None:
    folder = Path(endcap.serving.__file__).parent
    text = "".join(path.read_text() for path in folder.glob("*.py"))
    prefixes = set(re.findall(r'"(/[a-z0-9/_-]+/)\{user\}', text))
    assert prefixes == set(BEFORE_USER)


@given(st.text(min_size=1, max_size=256), st.text(min_size=1, max_size=256))
def test_a_pseudonym_is_the_same_at_every_door_and_another_for_another(one: str, two: str) -> None:
    named = pseudonym(SECRET, one)
    assert pseudonym(SECRET, named) == named
    assert (pseudonym(SECRET, two) == named) == (one == two)
    assert pseudonym("another secret of it", one) != named
