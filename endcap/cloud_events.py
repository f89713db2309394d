"""CloudEvents in Kafka records: who sent an event, under which id, and what it carries.

https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from xxhash import xxh3_128_hexdigest

from endcap.adapters.text import json_object
from endcap.adapters.translation import Row
from endcap.errors import InvalidEventError
from endcap.events import MAX_ID_LENGTH, Event

Headers = Sequence[tuple[str, bytes | None]]
_PREFIX = "ce_"
_STRUCTURED = b"application/cloudevents+json"
_NOT_ATTRIBUTES = {"data", "data_base64"}


class Opened(NamedTuple):
    """What a record carries: bytes to be decoded, or a row that is decoded already.

    `attributes` are the CloudEvent's, named as its headers: `ce_type`, `ce_time`. `event_id` is
    None where the record is no CloudEvent.
    """

    payload: bytes | None
    row: Row | None
    attributes: dict[str, Any]
    event_id: str | None


def open_record(headers: Headers, value: bytes | None) -> Opened:
    """A record in binary or structured content mode, or as it is where it is no CloudEvent.

    Raises:
        InvalidEventError: it says that it is a CloudEvent, and is not a right one.
    """
    if not headers:
        return Opened(value, None, {}, None)
    if any(n.lower() == "content-type" and _is_structured(said) for n, said in headers):
        return _structured(value)
    attributes = {
        name: _text(said, name)
        for name, said in headers
        if name.startswith(_PREFIX) and said is not None
    }
    if "ce_id" not in attributes:
        return Opened(value, None, {}, None)
    return Opened(value, None, attributes, _event_id(attributes))


def with_cloud_event_id(event: Event, headers: Headers) -> Event:
    """The event under its CloudEvent's id; itself where the headers name none.

    Raises:
        InvalidEventError: there is an id without a source.
    """
    found = open_record(headers, None).event_id if any(n == "ce_id" for n, _ in headers) else None
    return event if found is None else msgspec.structs.replace(event, event_id=found)


def _is_structured(content_type: bytes | None) -> bool:
    return content_type is not None and content_type.lower().startswith(_STRUCTURED)


def _structured(value: bytes | None) -> Opened:
    found = json_object(value or b"")
    attributes = {
        _PREFIX + name: said for name, said in found.items() if name not in _NOT_ATTRIBUTES
    }
    event_id = _event_id(attributes)
    data = found.get("data")
    if isinstance(data, dict):
        return Opened(None, data, attributes, event_id)
    if "data_base64" in found:
        try:
            payload = base64.b64decode(str(found["data_base64"]), validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidEventError(
                "cloud_event", f"data_base64 is not base64: {error}."
            ) from error
        return Opened(payload, None, attributes, event_id)
    payload = data.encode() if isinstance(data, str) else msgspec.json.encode(data)
    return Opened(payload, None, attributes, event_id)


def _event_id(attributes: dict[str, Any]) -> str:
    """`source` and `id` together are unique (the specification, "id"). A space parts them: a
    source is a URI reference, which has none."""
    source, own = attributes.get("ce_source"), attributes.get("ce_id")
    if not (isinstance(source, str) and source and isinstance(own, str) and own):
        raise InvalidEventError(
            "cloud_event", "A CloudEvent needs a source and an id, each of text and not empty."
        )
    together = f"{source} {own}"
    return together if len(together) <= MAX_ID_LENGTH else xxh3_128_hexdigest(together.encode())


def _text(said: bytes, name: str) -> str:
    try:
        return said.decode()
    except UnicodeDecodeError as error:
        raise InvalidEventError("cloud_event", f"The header {name} is not UTF-8.") from error
