"""A CloudEvent's source and id are the event's id, in both content modes."""

import base64
import json

import pytest

from endcap.adapters import json_object
from endcap.cloud_events import open_record
from endcap.errors import InvalidEventError
from endcap.events import MAX_ID_LENGTH, Event, EventType, encode_event
from endcap.streams.folded_batch import Partition
from endcap.streams.session_batch import fold_batch

NOW_MS = 1_700_000_000_000
STRUCTURED = [("content-type", b"application/cloudevents+json")]


class Record:
    """A record of the events topic."""

    def __init__(self, offset: int, *headers: tuple[str, bytes]) -> None:
        self.key, self.offset, self.headers = b"u", offset, headers
        self.timestamp, self.timestamp_type = NOW_MS, 1
        self.value = encode_event(
            Event(
                event_id=f"e{offset}",
                user_id="u",
                event_name=EventType.SEARCH,
                timestamp_ms=NOW_MS,
            )
        )


def test_the_fold_knows_a_repeat_by_source_and_id_whatever_the_value_says() -> None:
    first = Record(0, ("ce_id", b"1"), ("ce_source", b"/a"))
    repeat = Record(1, ("ce_source", b"/a"), ("ce_id", b"1"))
    elsewhere = Record(2, ("ce_id", b"1"), ("ce_source", b"/b"))
    traced = Record(3, ("traceparent", b"00"))
    batch = fold_batch([first, repeat, elsewhere, traced], Partition(0), {}.get, NOW_MS)
    assert batch.outcomes["folded"] == 3
    assert batch.outcomes["duplicate"] == 1


def test_the_fold_refuses_a_cloud_event_without_a_source() -> None:
    batch = fold_batch([Record(0, ("ce_id", b"1"))], Partition(0), {}.get, NOW_MS)
    assert [letter.error.reason for letter in batch.dead_letters] == ["cloud_event"]


def test_a_record_without_the_headers_is_as_it_is() -> None:
    assert open_record([("traceparent", b"00")], b"x") == (b"x", None, {}, None)


def test_attributes_are_named_as_the_headers_in_both_modes() -> None:
    binary = open_record(
        [("ce_id", b"1"), ("ce_source", b"/a"), ("ce_type", b"seen"), ("other", b"\xff")], b"{}"
    )
    said = {"id": "1", "source": "/a", "type": "seen", "data": {"sku": "milk"}}
    structured = open_record(STRUCTURED, json.dumps(said).encode())
    assert binary.attributes == structured.attributes
    assert binary.event_id == structured.event_id == "/a 1"
    assert binary.payload == b"{}"
    assert structured.row == {"sku": "milk"}


def test_structured_data_may_be_base64_or_text() -> None:
    said = {"id": "1", "source": "/a"}
    raw = base64.b64encode(b"\0bytes").decode()
    assert open_record(STRUCTURED, json.dumps(said | {"data_base64": raw}).encode()).payload == (
        b"\0bytes"
    )
    assert open_record(STRUCTURED, json.dumps(said | {"data": "a,b"}).encode()).payload == b"a,b"


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ([("ce_id", b"1")], b""),
        ([("ce_id", b"\xff"), ("ce_source", b"/a")], b""),
        (STRUCTURED, b'{"id": 1, "source": "/a"}'),
        (STRUCTURED, b'{"id": "1", "source": "/a", "data_base64": "!"}'),
    ],
)
def test_a_wrong_cloud_event_is_refused(headers: list[tuple[str, bytes]], value: bytes) -> None:
    with pytest.raises(InvalidEventError) as caught:
        open_record(headers, value)
    assert caught.value.reason == "cloud_event"


def test_a_structured_event_must_be_json() -> None:
    with pytest.raises(InvalidEventError, match="not JSON"):
        open_record(STRUCTURED, b"rubbish")
    assert json_object(b"{}") == {}


def test_a_long_source_and_id_become_a_digest_of_their_own() -> None:
    ids = {
        open_record([("ce_id", name), ("ce_source", b"/" * MAX_ID_LENGTH)], b"").event_id
        for name in (b"1", b"2")
    }
    assert len(ids) == 2
    assert all(each and len(each) <= MAX_ID_LENGTH for each in ids)
