"""Our own schema (docs/events.md), from whatever format carries it."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from endcap.adapters.fields import epoch_ms
from endcap.adapters.translation import Row
from endcap.events import Event, parse_event

_FAR = 1 << 62


def native(row: Row) -> Event:
    """Times may be datetimes and prices decimals, as Avro has them."""
    return parse_event(msgspec.json.encode(_plain(row)), _FAR)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return epoch_ms(value, "timestamp_ms")
    return float(value) if isinstance(value, Decimal) else value
