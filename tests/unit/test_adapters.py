"""Other systems' events become ours, or are refused with a reason."""

import json

import pytest

from endcap.adapters import (
    REES46_COLUMNS,
    Adapter,
    Decoder,
    FieldMapping,
    csv_line,
    field_mapping,
    json_object,
    line_or_object,
    mapped,
    native,
    rees46,
    segment,
    translate,
)
from endcap.deploy.adapters import find_adapter
from endcap.errors import InvalidEventError, SettingsError
from endcap.events import Event, EventItem, EventType, encode_event, parse_event

NOW_MS = 1_800_000_000_000


REES46_ROW = line_or_object(REES46_COLUMNS)


def through(adapter: Adapter, raw: bytes, decode: Decoder = json_object) -> Event:
    found = translate(raw, decode, adapter, NOW_MS)
    assert found is not None
    return parse_event(found.encoded, NOW_MS)


def test_a_rees46_row_as_csv_and_as_json_is_the_same_event() -> None:
    line = (
        b"2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,"
        b"72d76fde-8bb3-4e00-8c23-a032dfed738c"
    )
    event = through(rees46, line, REES46_ROW)
    assert (event.user_id, event.event_name) == ("541312140", EventType.VIEW_ITEM)
    assert event.timestamp_ms == 1_569_888_000_000
    assert event.items == (EventItem("44600062", 35.79),)
    row = {
        "event_time": "2019-10-01 00:00:00 UTC",
        "event_type": "view",
        "product_id": "44600062",
        "category_id": "2103807459595387724",
        "category_code": "",
        "brand": "shiseido",
        "price": "35.79",
        "user_id": "541312140",
        "user_session": "72d76fde-8bb3-4e00-8c23-a032dfed738c",
    }
    assert through(rees46, json.dumps(row).encode()) == event
    assert (
        through(rees46, line.replace(b"00:00:00", b"00:00:01"), REES46_ROW).event_id
        != event.event_id
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event_type": "teleport"}, "schema"),
        ({"event_time": "yesterday"}, "time"),
        ({"price": "-1"}, "price"),
        ({"price": "cheap"}, "schema"),
        ({"product_id": ""}, "schema"),
        ({"user_id": None}, "schema"),
    ],
)
def test_a_bad_rees46_row_is_refused(change: dict[str, object], reason: str) -> None:
    row: dict[str, object] = {
        "event_time": "2019-10-01 00:00:00 UTC",
        "event_type": "cart",
        "product_id": "1",
        "price": "2.5",
        "user_id": "7",
        "user_session": "v",
    }
    with pytest.raises(InvalidEventError) as caught:
        translate(json.dumps(row | change).encode(), json_object, rees46, NOW_MS)
    assert caught.value.reason == reason


def test_segments_order_and_identify() -> None:
    order = {
        "type": "track",
        "event": "Order Completed",
        "messageId": "m1",
        "userId": "u1",
        "timestamp": "2024-05-01T10:00:00.500Z",
        "properties": {
            "order_id": "o1",
            "products": [
                {"product_id": "a", "price": 3, "quantity": 2},
                {"product_id": "b"},
            ],
        },
    }
    event = through(segment, json.dumps(order).encode())
    assert event.event_name is EventType.PURCHASE
    assert event.transaction_id == "o1"
    assert event.items == (EventItem("a", 3.0, 2), EventItem("b"))
    assert event.timestamp_ms == 1_714_557_600_500
    identify = {
        "type": "identify",
        "messageId": "m2",
        "userId": "u1",
        "anonymousId": "x9",
        "timestamp": "2024-05-01T10:00:00Z",
    }
    event = through(segment, json.dumps(identify).encode())
    assert (event.event_name, event.user_id, event.anonymous_id) == (
        EventType.IDENTIFY,
        "u1",
        "x9",
    )


def test_what_is_not_about_shopping_is_no_event() -> None:
    page = {"type": "page", "messageId": "m", "anonymousId": "x", "timestamp": "2024-05-01"}
    assert translate(json.dumps(page).encode(), json_object, segment, NOW_MS) is None


def test_a_mapping_reads_nested_fields_and_its_own_names() -> None:
    mapping = FieldMapping(
        user="customer.id",
        item="product.sku",
        type="what",
        time="at",
        time_unit="s",
        types={"looked": EventType.VIEW_ITEM, "bought": EventType.PURCHASE},
        price="product.price",
        store="shop",
    )
    row = {"customer": {"id": 7}, "product": {"sku": "s1", "price": "4.50"}, "at": 1_600_000_000}
    event = through(mapped(mapping), json.dumps(row | {"what": "bought"}).encode())
    assert (event.user_id, event.items) == ("7", (EventItem("s1", 4.5),))
    assert event.timestamp_ms == 1_600_000_000_000
    assert event.transaction_id
    assert event.store_id is None
    here = through(mapped(mapping), json.dumps(row | {"what": "bought", "shop": 12}).encode())
    assert here.store_id == "12"
    yawned = json.dumps(row | {"what": "yawned"}).encode()
    assert translate(yawned, json_object, mapped(mapping), NOW_MS) is None


def test_a_mapping_reads_csv_lines() -> None:
    mapping = FieldMapping(
        user="u",
        item="i",
        type="e",
        time="t",
        types={"view": EventType.VIEW_ITEM},
        columns=("t", "u", "i", "e"),
    )
    line = csv_line(mapping.columns)
    assert through(mapped(mapping), b'1700000000000,ann,"a,b",view', line).items == (
        EventItem("a,b"),
    )
    with pytest.raises(InvalidEventError, match="3 fields; 4 are expected"):
        translate(b"5,ann,view", line, mapped(mapping), NOW_MS)


def test_a_wrong_mapping_and_an_unknown_adapter_are_named() -> None:
    with pytest.raises(SettingsError, match="types"):
        field_mapping({"user": "u", "item": "i", "type": "e", "time": "t"})
    with pytest.raises(SettingsError, match="time_unit is 'hours'"):
        field_mapping(
            {"user": "u", "item": "i", "type": "e", "time": "t", "types": {}, "time_unit": "hours"}
        )
    with pytest.raises(SettingsError, match="no adapter sergment"):
        find_adapter("sergment", {})


def test_native_passes_through() -> None:
    event = Event(event_id="e", user_id="u", event_name=EventType.SEARCH, timestamp_ms=NOW_MS)
    assert through(native, encode_event(event)) == event
