"""Avro records without a container: decoded by the schema that they were written with."""

import io
import json
from collections.abc import Sequence
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException

from endcap.adapters import Decoder, Row
from endcap.errors import DataError, InvalidEventError


def avro_decoder(schema: str, references: Sequence[str] = ()) -> Decoder:
    """A decoder of bare records; `references` are the schemas of the types that it names.

    Unions give the value alone, enums their symbol, logical types datetime, Decimal and UUID.

    Raises:
        DataError: the schema is not one, or not of a record.
    """
    named: dict[str, dict[Any, Any]] = {}
    try:
        for each in references:
            fastavro.parse_schema(json.loads(each), named_schemas=named)
        parsed = fastavro.parse_schema(json.loads(schema), named_schemas=named)
    except (ValueError, TypeError, KeyError, SchemaParseException) as error:
        raise DataError(f"The Avro schema cannot be read: {error!r}.") from error
    if not isinstance(parsed, dict) or parsed.get("type") != "record":
        raise DataError("The Avro schema is not that of a record.")

    def decode(raw: bytes) -> Row:
        stream = io.BytesIO(raw)
        try:
            found = fastavro.schemaless_reader(stream, parsed, None)
        except (
            Exception
        ) as error:  # whatever rubbish leads fastavro to, KeyError and MemoryError too
            raise InvalidEventError(
                "avro", f"The value does not fit its Avro schema: {error!r}."
            ) from error
        if stream.tell() != len(raw):
            raise InvalidEventError(
                "avro",
                f"{len(raw) - stream.tell()} bytes are left behind the record: the value was "
                "written with another Avro schema.",
            )
        if not isinstance(found, dict):
            raise InvalidEventError("avro", "The value is not an Avro record.")
        return found

    return decode
