"""From a record's bytes to a valid native event, or to a refusal with its reason."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from endcap.consent import refuse_denied, refuse_denied_row
from endcap.errors import InvalidEventError
from endcap.events import Event, encode_event, home_of, parse_event

Row = Mapping[str, Any]
"""A decoded record: JSON's values, and from Avro also datetime, Decimal, UUID and bytes."""

Decoder = Callable[[bytes], Row]
"""Raises `InvalidEventError` for bytes that are not of its format."""

Adapter = Callable[[Row], Event | None]
"""None: the row says nothing about shopping. Raises `InvalidEventError` for one that is wrong."""


class Translated(NamedTuple):
    """A valid event, encoded for the events topic, and the id that keys it."""

    home: str
    encoded: bytes


def translate(raw: bytes | None, decode: Decoder, adapt: Adapter, now_ms: int) -> Translated | None:
    """The record as a native event; None where it is not about shopping.

    Raises:
        InvalidEventError: it cannot be read, or is not a valid event.
    """
    if not raw:
        raise InvalidEventError("empty", "The record has no value.")
    refuse_denied(raw)
    return translate_row(decode(raw), adapt, now_ms)


def translate_row(
    row: Row, adapt: Adapter, now_ms: int, event_id: str | None = None
) -> Translated | None:
    """The row as a native event, of the id given where there is one.

    Raises:
        ConsentDeniedError: the shopper has refused: not even a dead letter may hold it.
        InvalidEventError: it is not a valid event; `adapter` where the adapter itself failed of it.
    """
    refuse_denied_row(row)
    try:
        event = adapt(row)
        if event is None:
            return None
        if event_id is not None:
            event = msgspec.structs.replace(event, event_id=event_id)
        encoded = encode_event(event)
    except InvalidEventError:
        raise
    except Exception as error:  # an adapter may be anybody's: one row must not end the process
        raise InvalidEventError(
            "adapter", f"The adapter failed of it: {error!r}. Mend the adapter, then replay it."
        ) from error
    return Translated(home_of(parse_event(encoded, now_ms)), encoded)
