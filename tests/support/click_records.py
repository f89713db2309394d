"""Clicks as shops have them: Avro, Protobuf, Segment's JSON, REES46's CSV, with their schemas."""

import csv
import io
import json
from typing import Any

import fastavro

WHEN_MS = 1_700_000_000_000
CLICK_AVSC: dict[str, Any] = {
    "type": "record",
    "name": "Click",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "customer", "type": {
            "type": "record", "name": "Customer", "fields": [{"name": "id", "type": "long"}]}},
        {"name": "sku", "type": "string"},
        {"name": "what", "type": {"type": "enum", "name": "What", "symbols": ["LOOK", "YAWN"]}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "price", "type": ["null", {
            "type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}]},
    ],
}  # fmt: skip
CLICK_AVSC_TEXT = json.dumps(CLICK_AVSC)
MONEY_PROTO = 'syntax = "proto3"; package shop; message Money { double amount = 1; }'
CLICK_PROTO = """
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "money.proto";
enum What { NOTHING = 0; LOOK = 1; }
message Ping { string host = 1; }
message Click {
  string id = 1;
  int64 customer = 2;
  string sku = 3;
  What what = 4;
  google.protobuf.Timestamp at = 5;
  Money price = 6;
}
"""
CLICK_MAPPING = {
    "event": "id",
    "user": "customer.id",
    "item": "sku",
    "type": "what",
    "time": "at",
    "price": "price",
    "types": {"LOOK": "view_item"},
}
ADAPTERS = {
    "avroshop": CLICK_MAPPING,
    "protoshop": CLICK_MAPPING | {"user": "customer", "time_unit": "iso", "price": "price.amount"},
    "rocket": {
        "user": "user",
        "item": "item",
        "type": "event",
        "time": "ts",
        "time_unit": "s",
        "types": {"view": "view_item"},
    },
}
CLICK_INDEX = b"\x02\x02"
"""`Click` is its file's second message: zigzag varints of how many indexes, and of index 1."""


def avro_record(name: str, what: str = "LOOK") -> bytes:
    out = io.BytesIO()
    row = {"id": name, "customer": {"id": 7}, "sku": "milk", "what": what, "at": WHEN_MS}
    fastavro.schemaless_writer(out, fastavro.parse_schema(CLICK_AVSC), row | {"price": None})
    return out.getvalue()


def proto_record(name: str) -> bytes:
    """`Click` by hand: a producer that has nothing in common with our decoder."""

    def field(number: int, raw: bytes) -> bytes:
        return bytes([number << 3 | 2, len(raw)]) + raw

    at = b"\x08" + _varint(WHEN_MS // 1000)
    price = b"\x09" + bytes.fromhex("0000000000001240")  # 4.5
    return (
        field(1, name.encode())
        + b"\x10\x07"
        + field(3, b"milk")
        + b"\x20\x01"
        + field(5, at)
        + field(6, price)
    )


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def framed(schema_id: int, payload: bytes) -> bytes:
    return b"\0" + schema_id.to_bytes(4) + payload


def segment_call(name: str) -> bytes:
    return json.dumps(
        {
            "type": "track",
            "event": "Product Viewed",
            "messageId": name,
            "userId": "u",
            "timestamp": "2023-11-14T22:13:20Z",
            "properties": {"product_id": "milk", "price": 4.5},
        }
    ).encode()


def rees46_line(number: int) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(
        ["2023-11-14 22:13:20 UTC", "view", "milk", "1", "", "acme, inc", "4.5", number, "v"]
    )
    return out.getvalue().strip().encode()
