"""Events as other systems write them, turned into ours.

A decoder reads a record's bytes into a row; an adapter turns the row into an `Event`. So one
adapter serves JSON, CSV, Avro and Protobuf alike. The decoders of text are here; those of Avro and
Protobuf are in `endcap.streams`, with the libraries that they need.
"""

from collections.abc import Mapping

from endcap.adapters.field_mapping import FieldMapping, field_mapping, mapped
from endcap.adapters.native import native
from endcap.adapters.rees46 import REES46_COLUMNS, rees46
from endcap.adapters.segment import segment
from endcap.adapters.text import csv_line, json_object, line_or_object
from endcap.adapters.translation import (
    Adapter,
    Decoder,
    Row,
    Translated,
    translate,
    translate_row,
)

__all__ = [
    "BUILT_IN",
    "REES46_COLUMNS",
    "Adapter",
    "Decoder",
    "FieldMapping",
    "Row",
    "Translated",
    "csv_line",
    "field_mapping",
    "json_object",
    "line_or_object",
    "mapped",
    "native",
    "rees46",
    "segment",
    "translate",
    "translate_row",
]

BUILT_IN: Mapping[str, Adapter] = {"native": native, "segment": segment, "rees46": rees46}
