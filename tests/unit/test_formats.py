"""Avro and Protobuf become rows that the same adapters take; rubbish is refused, never a crash."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from endcap.adapters import BUILT_IN, FieldMapping, mapped, translate_row
from endcap.errors import DataError, InvalidEventError
from endcap.events import EventType, parse_event
from endcap.streams.avro_format import avro_decoder
from endcap.streams.protobuf_format import decoder_of_set, message_at, pool_of, read_indexes
from endcap.streams.protoc import compile_proto

NOW_MS = 1_800_000_000_000
MAPPING = FieldMapping(
    user="who.id",
    item="sku",
    type="what",
    time="at",
    price="price",
    quantity="count",
    types={"LOOK": EventType.VIEW_ITEM},
)
AVSC: dict[str, Any] = {
    "type": "record",
    "name": "Click",
    "fields": [
        {"name": "who", "type": ["null", "Person"]},
        {"name": "sku", "type": "string"},
        {"name": "what", "type": {"type": "enum", "name": "What", "symbols": ["LOOK"]}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {
            "name": "price",
            "type": [
                "null",
                {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            ],
        },
        {"name": "count", "type": ["int", "string"]},
    ],
}
PERSON: dict[str, Any] = {
    "type": "record",
    "name": "Person",
    "fields": [{"name": "id", "type": "string"}],
}
PROTO = """
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum What { LOOK = 0; YAWN = 1; }
message Click {
  message Person { string id = 1; message Deep { string x = 1; } }
  Person who = 1;
  string sku = 2;
  What what = 3;
  google.protobuf.Timestamp at = 4;
  google.protobuf.DoubleValue price = 5;
  int64 count = 6;
}
"""


def avro(row: dict[str, Any]) -> bytes:
    named: dict[str, Any] = {}
    fastavro.parse_schema(PERSON, named_schemas=named)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(AVSC, named_schemas=named), row)
    return out.getvalue()


AVRO = avro_decoder(json.dumps(AVSC), [json.dumps(PERSON)])
FILES = compile_proto("click.proto", {"click.proto": PROTO})
SET = FileDescriptorSet(file=FILES).SerializeToString()
PROTOBUF = decoder_of_set(SET, "shop.Click")


def test_avros_logical_types_unions_enums_and_nested_records_go_through_a_mapping() -> None:
    row = AVRO(
        avro(
            {
                "who": {"id": "ann"},
                "sku": "milk",
                "what": "LOOK",
                "at": datetime(2023, 11, 14, 22, 13, 20, 5000, tzinfo=UTC),
                "price": Decimal("4.50"),
                "count": "2",
            }
        )
    )
    found = translate_row(row, mapped(MAPPING), NOW_MS)
    assert found is not None
    event = parse_event(found.encoded, NOW_MS)
    assert (event.user_id, event.timestamp_ms) == ("ann", 1_700_000_000_005)
    (item,) = event.items
    assert (item.item_id, item.price, item.quantity) == ("milk", 4.5, 2)


def test_protobufs_timestamps_wrappers_enums_and_zeroes_go_through_a_mapping() -> None:
    message: Any = GetMessageClass(pool_of(FILES).FindMessageTypeByName("shop.Click"))()
    message.who.id, message.sku, message.count = "ann", "milk", 2
    message.at.FromMilliseconds(1_700_000_000_005)
    message.price.value = 4.5
    found = translate_row(
        PROTOBUF(message.SerializeToString()),
        mapped(
            FieldMapping(
                user="who.id",
                item="sku",
                type="what",  # LOOK is 0, which the wire leaves out
                time="at",
                time_unit="iso",
                price="price",
                quantity="count",
                types={"LOOK": EventType.VIEW_ITEM},
            )
        ),
        NOW_MS,
    )
    assert found is not None
    event = parse_event(found.encoded, NOW_MS)
    assert (event.user_id, event.timestamp_ms) == ("ann", 1_700_000_000_005)
    (item,) = event.items
    assert (item.item_id, item.price, item.quantity) == ("milk", 4.5, 2)


def test_our_own_schema_may_come_as_avro() -> None:
    row = {
        "event_id": "e",
        "user_id": "u",
        "event_name": "view_item",
        "timestamp_ms": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        "items": [{"item_id": "milk", "price": Decimal("4.50")}],
    }
    found = translate_row(row, BUILT_IN["native"], NOW_MS)
    assert found is not None
    event = parse_event(found.encoded, NOW_MS)
    assert (event.timestamp_ms, event.items[0].price) == (1_700_000_000_000, 4.5)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_row_or_refused(raw: bytes) -> None:
    assert refusal(AVRO, raw) in {None, "avro"}
    assert refusal(PROTOBUF, raw) in {None, "protobuf"}


def refusal(call: Callable[..., object], *arguments: object) -> str | None:
    """The reason why it is refused; None where it is not. Any other exception fails the test."""
    try:
        call(*arguments)
    except InvalidEventError as error:
        return error.reason
    return None


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
_FIELDS = {
    "segment": (
        {"type": st.just("track"), "event": st.just("Product Viewed")},
        ["messageId", "userId", "anonymousId", "timestamp", "properties"],
    ),
    "rees46": (
        {"event_type": st.sampled_from(["view", "purchase"])},
        ["event_time", "product_id", "price", "user_id", "user_session"],
    ),
    "native": (
        {"event_name": st.just("view_item")},
        ["event_id", "user_id", "timestamp_ms", "items", "transaction_id"],
    ),
}


@pytest.mark.parametrize("name", _FIELDS)
@given(st.data())
def test_no_row_makes_a_built_in_adapter_fail(name: str, data: st.DataObject) -> None:
    said, fields = _FIELDS[name]
    row = data.draw(st.fixed_dictionaries(said | dict.fromkeys(fields, _values)))
    assert refusal(translate_row, row, BUILT_IN[name], NOW_MS) != "adapter"


def test_an_adapter_that_fails_is_a_refusal() -> None:
    def broken(row: Any) -> None:
        raise KeyError("sku")

    with pytest.raises(InvalidEventError, match="KeyError") as caught:
        translate_row({}, broken, NOW_MS)
    assert caught.value.reason == "adapter"


@given(st.lists(st.integers(0, 300), min_size=1, max_size=8), st.binary(max_size=8))
def test_message_indexes_are_read_as_confluent_writes_them(path: list[int], rest: bytes) -> None:
    def zigzag(number: int) -> bytes:
        number, out = number << 1, b""
        while number > 0x7F:
            out += bytes([number & 0x7F | 0x80])
            number >>= 7
        return out + bytes([number])

    head = zigzag(len(path)) + b"".join(map(zigzag, path))
    assert read_indexes(head + rest) == (tuple(path), rest)
    assert read_indexes(b"\0" + rest) == ((0,), rest)


@given(st.binary(max_size=12))
def test_any_bytes_have_indexes_or_are_refused(raw: bytes) -> None:
    assert refusal(read_indexes, raw) in {None, "protobuf"}


def test_indexes_lead_to_nested_messages() -> None:
    file = pool_of(FILES).FindFileByName("click.proto")
    assert message_at(file, (0, 0, 0)).full_name == "shop.Click.Person.Deep"
    with pytest.raises(InvalidEventError, match="no message"):
        message_at(file, (0, 3))


def test_a_set_without_googles_own_files_is_enough() -> None:
    own = [file for file in FILES if not file.name.startswith("google/")]
    assert len(own) < len(FILES)
    decode = decoder_of_set(FileDescriptorSet(file=own).SerializeToString(), "shop.Click")
    assert decode(b"")["sku"] == ""


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: avro_decoder("{"), "Avro schema cannot be read"),
        (lambda: avro_decoder('"string"'), "not that of a record"),
        (lambda: avro_decoder(json.dumps(AVSC)), "Person"),
        (lambda: decoder_of_set(b"rubbish", "x"), "no serialized FileDescriptorSet"),
        (lambda: decoder_of_set(SET, "shop.Klick"), r"no message shop\.Klick.*shop\.Click"),
        (lambda: pool_of([FileDescriptorProto(name="a", dependency=["b.proto"])]), "b.proto"),
        (lambda: compile_proto("a.proto", {"a.proto": "message {"}), "protoc refuses"),
        (lambda: compile_proto("a.proto", {"../a.proto": ""}), "leads out of"),
    ],
)
def test_a_wrong_schema_is_named(make: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        make()
