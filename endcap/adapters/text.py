"""Decoders of text: JSON objects and CSV lines."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import msgspec

from endcap.adapters.translation import Decoder, Row
from endcap.errors import InvalidEventError


def json_object(raw: bytes) -> dict[str, Any]:
    """One JSON object in UTF-8."""
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError(
            "not_json", f"The value is not JSON ({error}); send UTF-8 JSON."
        ) from error
    if not isinstance(found, dict):
        raise InvalidEventError("schema", "The value is not a JSON object.")
    return found


def csv_line(columns: Sequence[str]) -> Decoder:
    """A decoder of CSV lines without a header; each field is text."""

    def decode(raw: bytes) -> Row:
        try:
            fields = next(csv.reader(io.StringIO(raw.decode()), strict=True), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise InvalidEventError("schema", f"The line is not CSV in UTF-8 ({error}).") from error
        if len(fields) != len(columns):
            raise InvalidEventError(
                "schema",
                f"The line has {len(fields)} fields; {len(columns)} are expected: "
                f"{', '.join(columns)}.",
            )
        return dict(zip(columns, fields, strict=True))

    return decode


def line_or_object(columns: Sequence[str]) -> Decoder:
    """A decoder of both: what begins with a brace is a JSON object."""
    line = csv_line(columns)
    return lambda raw: json_object(raw) if raw.lstrip()[:1] == b"{" else line(raw)
