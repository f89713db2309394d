"""A row's fields as text, numbers and times; what is missing or wrong is refused by its name."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from xxhash import xxh3_128_hexdigest

from endcap.adapters.translation import Row
from endcap.errors import InvalidEventError


def at(row: Row, path: str) -> Any:
    """What lies at a path with dots, such as `customer.id`; None where nothing does."""
    found: Any = row
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def text(row: Row, path: str) -> str:
    """What must be there and not be empty."""
    found = at(row, path)
    if found is None or found == "":
        raise InvalidEventError("schema", f"{path} is missing.")
    return str(found)


def optional_text(row: Row, field: str) -> str | None:
    """Text, or None where there is none."""
    found = row.get(field)
    return None if found is None else str(found)


def number(value: Any, field: str) -> float | None:
    """A finite number, or its text; None where there is none."""
    if value is None or value == "":
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidEventError("schema", f"{field} is {value!r}, not a number.") from error
    if not math.isfinite(found):
        raise InvalidEventError("schema", f"{field} is {value!r}, not a number.")
    return found


def quantity(value: Any, field: str) -> int:
    """A count; 1 where there is none."""
    found = number(value, field)
    return 1 if found is None else int(found)


def epoch_ms(value: Any, field: str) -> int:
    """From a datetime, ISO 8601, or `2019-10-01 00:00:00 UTC`; without a zone it is UTC."""
    try:
        when = (
            value
            if isinstance(value, datetime)
            else datetime.fromisoformat(str(value).removesuffix(" UTC"))
        )
        return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise InvalidEventError(
            "time", f"{field} is {value!r}; send ISO 8601, such as 2019-10-01T00:00:00Z."
        ) from error


def scaled_ms(value: Any, field: str, units_per_ms: float) -> int:
    """From a number of units since 1970; a datetime needs no unit."""
    if isinstance(value, datetime):
        return epoch_ms(value, field)
    found = number(value, field)
    if found is None:
        raise InvalidEventError("time", f"{field} is missing.")
    return round(found / units_per_ms)


def row_id(row: Row) -> str:
    """An id made of the whole row: equal rows have the same."""
    return xxh3_128_hexdigest(msgspec.json.encode(row, order="sorted"))
