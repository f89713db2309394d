"""What the parser promises: an event, or a refusal with a reason and a sentence."""

import msgspec
import pytest

from endcap.errors import InvalidEventError
from endcap.events import MAX_FUTURE_MS, Event, EventItem, EventType, encode_event, parse_event
from endcap.wrong_fields import EARLIEST_MS

NOW_MS = 1_700_000_000_000
VALID = {
    "event_id": "e1",
    "user_id": "u1",
    "event_name": "purchase",
    "timestamp_ms": NOW_MS,
    "transaction_id": "t1",
    "items": [{"item_id": "milk", "price": 1.5, "quantity": 2}],
}


def test_a_valid_event_round_trips() -> None:
    event = Event(
        event_id="e1",
        user_id="u1",
        event_name=EventType.VIEW_ITEM,
        timestamp_ms=NOW_MS,
        items=(EventItem("milk", 1.5, 2),),
    )
    assert parse_event(encode_event(event), NOW_MS) == event


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event_id": ""}, "no_id"),
        ({"user_id": ""}, "no_id"),
        ({"user_id": 7}, "schema"),
        ({"event_name": "teleport"}, "schema"),
        ({"timestamp_ms": "yesterday"}, "schema"),
        ({"timestamp_ms": 0}, "time"),
        ({"timestamp_ms": NOW_MS // 1000}, "time"),
        ({"timestamp_ms": EARLIEST_MS - 1}, "time"),
        ({"timestamp_ms": NOW_MS + MAX_FUTURE_MS + 1}, "future"),
        ({"items": []}, "no_items"),
        ({"transaction_id": None}, "no_transaction_id"),
        ({"items": [{"item_id": ""}]}, "no_item_id"),
        ({"items": [{"item_id": "milk", "price": -1}]}, "price"),
        ({"items": [{"item_id": "milk", "quantity": 0}]}, "quantity"),
        ({"store_id": "s" * 257}, "long_id"),
        ({"event_name": "identify"}, "no_anonymous_id"),
    ],
)
def test_a_bad_event_is_refused_with_its_reason(change: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidEventError) as caught:
        parse_event(msgspec.json.encode(VALID | change), NOW_MS)
    assert caught.value.reason == reason
    assert str(caught.value).endswith((".", ")"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"timestamp_ms": NOW_MS // 1000}, "in milliseconds since 1970, not in seconds"),
        ({"event_name": "click"}, "Did you mean select_item?"),
        ({"event_name": "view"}, "Did you mean view_item?"),
        ({"event_name": "teleport"}, "It is one of view_item, view_item_list, select_item,"),
    ],
)
def test_a_refusal_says_what_is_wanted(change: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidEventError) as caught:
        parse_event(msgspec.json.encode(VALID | change), NOW_MS)
    assert says in str(caught.value)


@pytest.mark.parametrize("raw", [None, b"", b"{", b"\xff\xfe", b"[]"])
def test_rubbish_is_refused_never_raised_as_something_else(raw: bytes | None) -> None:
    with pytest.raises(InvalidEventError):
        parse_event(raw, NOW_MS)
