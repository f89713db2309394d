"""Events as other systems write them, turned into ours.

An adapter is a function from a record's value to an `Event`, to None for what says nothing about
shopping, or to an `InvalidEventError` with the reason. What it returns is validated like any event.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from xxhash import xxh3_128_hexdigest

from endcap.errors import InvalidEventError, SettingsError
from endcap.events import Event, EventItem, EventType, encode_event, parse_event

Adapter = Callable[[bytes], Event | None]

SEGMENT_EVENTS: Mapping[str, EventType] = {
    "Product Viewed": EventType.VIEW_ITEM,
    "Product List Viewed": EventType.VIEW_ITEM_LIST,
    "Product Clicked": EventType.SELECT_ITEM,
    "Product Added": EventType.ADD_TO_CART,
    "Product Removed": EventType.REMOVE_FROM_CART,
    "Product Added to Wishlist": EventType.ADD_TO_WISHLIST,
    "Cart Viewed": EventType.VIEW_CART,
    "Checkout Started": EventType.BEGIN_CHECKOUT,
    "Order Completed": EventType.PURCHASE,
    "Order Refunded": EventType.REFUND,
    "Products Searched": EventType.SEARCH,
}
"""Segment's e-commerce specification, version 2 (https://segment.com/docs/connections/spec/
ecommerce/v2/)."""

REES46_COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)
REES46_EVENTS: Mapping[str, EventType] = {
    "view": EventType.VIEW_ITEM,
    "cart": EventType.ADD_TO_CART,
    "remove_from_cart": EventType.REMOVE_FROM_CART,
    "purchase": EventType.PURCHASE,
}
"""The open data set of REES46 (https://rees46.com/en/datasets)."""


def adapted(adapter: Adapter, raw: bytes | None, now_ms: int) -> bytes | None:
    """The record as a valid native event, encoded; None where it is not about shopping.

    Raises:
        InvalidEventError: it cannot be read, or is not a valid event.
    """
    if not raw:
        raise InvalidEventError("empty", "The record has no value.")
    event = adapter(raw)
    if event is None:
        return None
    encoded = encode_event(event)
    parse_event(encoded, now_ms)
    return encoded


def native(raw: bytes) -> Event:
    """Our own schema: docs/events.md."""
    return parse_event(raw, _FAR)


def segment(raw: bytes) -> Event | None:
    """Segment's `track` calls of the e-commerce specification, and `identify`."""
    call = _json_object(raw)
    kind = call.get("type")
    name = EventType.IDENTIFY if kind == "identify" else SEGMENT_EVENTS.get(str(call.get("event")))
    if kind not in {"track", "identify"} or name is None:
        return None
    said = call.get("properties") or {}
    products = said.get("products") or ([said] if said.get("product_id") else [])
    user = call.get("userId")
    anonymous = call.get("anonymousId")
    return Event(
        event_id=_text(call, "messageId"),
        user_id=str(user or anonymous or ""),
        event_name=name,
        timestamp_ms=_epoch_ms(call.get("timestamp") or call.get("originalTimestamp"), "timestamp"),
        items=tuple(_segment_item(product) for product in products),
        transaction_id=_optional(said, "order_id"),
        search_term=_optional(said, "query"),
        anonymous_id=str(anonymous) if anonymous and user else None,
    )


def rees46(raw: bytes) -> Event:
    """A row of REES46: a CSV line in its columns' order, or a JSON object with its columns.

    Rows have no id: it is made of the whole row, so that a row sent twice counts once, and so do
    two rows that are equal in every column. A purchase has no order id: it is that of its visit.
    """
    row = _json_object(raw) if raw.lstrip()[:1] == b"{" else _csv_row(raw, REES46_COLUMNS)
    kind = REES46_EVENTS.get(str(row.get("event_type")))
    if kind is None:
        raise InvalidEventError(
            "schema", f"event_type is {row.get('event_type')!r}; known: {', '.join(REES46_EVENTS)}."
        )
    user_id, visit = _text(row, "user_id"), str(row.get("user_session") or "")
    return Event(
        event_id=_row_id(row),
        user_id=user_id,
        event_name=kind,
        timestamp_ms=_epoch_ms(row.get("event_time"), "event_time"),
        items=(EventItem(_text(row, "product_id"), _number(row.get("price"), "price")),),
        transaction_id=(visit or user_id) if kind is EventType.PURCHASE else None,
    )


class FieldMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a flat or nested JSON object, or a CSV line, holds what an event needs.

    Paths have dots: `customer.id`. `columns` names a CSV line's columns; without it the value is
    JSON. `types` maps the shop's event names to ours; a name that is not in it is ignored.
    `time_unit`: `s`, `ms` or `iso`. Without `event` the id is made of the whole row.
    """

    user: str
    item: str
    type: str
    time: str
    types: dict[str, EventType]
    time_unit: str = "ms"
    event: str | None = None
    price: str | None = None
    quantity: str | None = None
    transaction: str | None = None
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError for a unit that is not known."""
        if self.time_unit not in _TO_MS:
            raise ValueError(f"time_unit is {self.time_unit!r}; known: {', '.join(_TO_MS)}")


def mapped(mapping: FieldMapping) -> Adapter:
    """An adapter for rows that need renaming alone."""

    def adapt(raw: bytes) -> Event | None:
        row = _csv_row(raw, mapping.columns) if mapping.columns else _json_object(raw)
        kind = mapping.types.get(str(_at(row, mapping.type)))
        if kind is None:
            return None
        user_id = _present(row, mapping.user)
        transaction = _at(row, mapping.transaction) if mapping.transaction else None
        if kind is EventType.PURCHASE and not transaction:
            transaction = f"{user_id}/{_at(row, mapping.time)}"
        price = _at(row, mapping.price) if mapping.price else None
        quantity = _at(row, mapping.quantity) if mapping.quantity else None
        item = EventItem(
            _present(row, mapping.item),
            _number(price, mapping.price or "price"),
            int(_number(quantity, mapping.quantity or "quantity") or 1),
        )
        return Event(
            event_id=_present(row, mapping.event) if mapping.event else _row_id(row),
            user_id=user_id,
            event_name=kind,
            timestamp_ms=_TO_MS[mapping.time_unit](_at(row, mapping.time), mapping.time),
            items=(item,),
            transaction_id=str(transaction) if transaction else None,
        )

    return adapt


BUILT_IN: Mapping[str, Adapter] = {"native": native, "segment": segment, "rees46": rees46}
_FAR = 1 << 62


def field_mapping(settings: Mapping[str, Any]) -> FieldMapping:
    """A mapping as it stands in `endcap.toml`.

    Raises:
        SettingsError: a field is missing, unknown or of the wrong form.
    """
    try:
        return msgspec.convert(settings, FieldMapping)
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"The field mapping is not right: {error}. It needs user, item, type, time and types; "
            "see docs/adapters.md."
        ) from error


def _segment_item(product: Any) -> EventItem:
    if not isinstance(product, dict):
        raise InvalidEventError("schema", "properties.products must hold objects.")
    quantity = _number(product.get("quantity"), "quantity")
    return EventItem(
        _text(product, "product_id"),
        _number(product.get("price"), "price"),
        1 if quantity is None else int(quantity),
    )


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEventError(
            "not_json", f"The value is not JSON ({error}); send UTF-8 JSON."
        ) from error
    if not isinstance(found, dict):
        raise InvalidEventError("schema", "The value is not a JSON object.")
    return found


def _csv_row(raw: bytes, columns: Sequence[str]) -> dict[str, Any]:
    try:
        line = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidEventError("schema", f"The line is not UTF-8 ({error}).") from error
    fields = next(csv.reader(io.StringIO(line)), [])
    if len(fields) != len(columns):
        raise InvalidEventError(
            "schema",
            f"The line has {len(fields)} fields; {len(columns)} are expected: "
            f"{', '.join(columns)}.",
        )
    return dict(zip(columns, fields, strict=True))


def _row_id(row: Mapping[str, Any]) -> str:
    return xxh3_128_hexdigest(msgspec.json.encode(row, order="sorted"))


def _at(row: Mapping[str, Any], path: str) -> Any:
    found: Any = row
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _present(row: Mapping[str, Any], path: str) -> str:
    found = _at(row, path)
    if found is None or found == "":
        raise InvalidEventError("schema", f"{path} is missing.")
    return str(found)


def _text(row: Mapping[str, Any], field: str) -> str:
    return _present(row, field)


def _optional(row: Mapping[str, Any], field: str) -> str | None:
    found = row.get(field)
    return None if found is None else str(found)


def _number(value: Any, field: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InvalidEventError("schema", f"{field} is {value!r}, not a number.") from error


def _epoch_ms(value: Any, field: str) -> int:
    """From ISO 8601 (a time without a zone is UTC), or REES46's `2019-10-01 00:00:00 UTC`."""
    try:
        when = datetime.fromisoformat(str(value).removesuffix(" UTC"))
    except ValueError as error:
        raise InvalidEventError(
            "time", f"{field} is {value!r}; send ISO 8601, such as 2019-10-01T00:00:00Z."
        ) from error
    return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


def _scaled(factor: int) -> Callable[[Any, str], int]:
    def to_ms(value: Any, field: str) -> int:
        number = _number(value, field)
        if number is None:
            raise InvalidEventError("time", f"{field} is missing.")
        return round(number * factor)

    return to_ms


_TO_MS: Mapping[str, Callable[[Any, str], int]] = {
    "s": _scaled(1000),
    "ms": _scaled(1),
    "iso": _epoch_ms,
}
