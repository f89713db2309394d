"""Protobuf messages: decoded by descriptors, into the rows of Protobuf's own JSON mapping.

https://protobuf.dev/programming-guides/json/: enums are names, 64-bit integers text, a Timestamp is
ISO 8601. Fields keep the names of the .proto file. A field without presence is always there.
"""

import importlib
from collections.abc import Sequence
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict

from endcap.adapters import Decoder, Row
from endcap.errors import DataError, InvalidEventError

_WELL_KNOWN = "google/protobuf/"


def message_decoder(descriptor: Descriptor, pool: DescriptorPool) -> Decoder:
    """A decoder of bare messages of one type."""
    message: Any = message_factory.GetMessageClass(descriptor)

    def decode(raw: bytes) -> Row:
        try:
            row: Row = MessageToDict(
                message.FromString(raw),
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
                descriptor_pool=pool,
            )
        except Exception as error:  # DecodeError, and what a Timestamp out of its range leads to
            raise InvalidEventError(
                "protobuf", f"The value is no {descriptor.full_name} of Protobuf: {error}."
            ) from error
        return row

    return decode


def decoder_of_set(raw: bytes, message: str) -> Decoder:
    """From a serialized FileDescriptorSet: `protoc --include_imports --descriptor_set_out=...`.

    Raises:
        DataError: it is none, or does not hold the message.
    """
    files = read_set(raw)
    pool = pool_of(files)
    try:
        return message_decoder(pool.FindMessageTypeByName(message), pool)
    except KeyError as error:
        held = ", ".join(f"{f.package}.{m.name}".strip(".") for f in files for m in f.message_type)
        raise DataError(f"There is no message {message} in it; it holds {held}.") from error


def read_set(raw: bytes) -> list[FileDescriptorProto]:
    """The files of a serialized FileDescriptorSet.

    Raises:
        DataError: it is none.
    """
    try:
        files = list(FileDescriptorSet.FromString(raw).file)
    except Exception as error:
        raise DataError(f"It is no serialized FileDescriptorSet ({error}).") from error
    if not files:
        raise DataError("It is no serialized FileDescriptorSet: it holds no file.")
    return files


def pool_of(files: Sequence[FileDescriptorProto]) -> DescriptorPool:
    """A pool of the files; of Google's well-known types those that they import.

    Raises:
        DataError: an import is missing, or the files contradict one another.
    """
    pool = DescriptorPool()
    waiting = {file.name: file for file in files}
    added: set[str] = set()

    def add(name: str) -> None:
        if name in added:
            return
        added.add(name)
        file = waiting.get(name) or _well_known(name)
        for imported in file.dependency:
            add(imported)
        pool.AddSerializedFile(file.SerializeToString())

    try:
        for file in files:
            add(file.name)
    except TypeError as error:
        raise DataError(f"The Protobuf files do not fit together: {error}.") from error
    return pool


def message_at(file: FileDescriptor, path: Sequence[int]) -> Descriptor:
    """The message at a path of indexes: first of the file's, then of those nested in it.

    Raises:
        InvalidEventError: there is none.
    """
    found: Any = None
    among: Any = list(file.message_types_by_name.values())
    for index in path:
        if not 0 <= index < len(among):
            raise InvalidEventError(
                "protobuf", f"{file.name} has no message at {list(path)}: another schema wrote it."
            )
        found = among[index]
        among = found.nested_types
    descriptor: Descriptor = found
    return descriptor


def read_indexes(payload: bytes) -> tuple[tuple[int, ...], bytes]:
    """Which message of the schema's file it is, and the message.

    Confluent's wire format: a count and so many indexes, as zigzag varints; a single 0 means the
    first message. https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/

    Raises:
        InvalidEventError: the indexes are cut off or too many.
    """
    count, at = _zigzag(payload, 0)
    if count == 0:
        return (0,), payload[at:]
    if not 0 < count <= _DEEPEST:
        raise InvalidEventError("protobuf", f"The value names {count} message indexes.")
    path = []
    for _ in range(count):
        index, at = _zigzag(payload, at)
        path.append(index)
    return tuple(path), payload[at:]


_DEEPEST = 100
"""Levels of nesting; Protobuf's own limit of recursion."""


def _zigzag(payload: bytes, at: int) -> tuple[int, int]:
    found = 0
    for shift in range(0, 35, 7):
        if at >= len(payload):
            raise InvalidEventError("protobuf", "The value ends within its message indexes.")
        byte = payload[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (found >> 1) ^ -(found & 1), at
    raise InvalidEventError("protobuf", "The value's message indexes are no varints.")


def _well_known(name: str) -> FileDescriptorProto:
    if name.startswith(_WELL_KNOWN):
        module = name.removesuffix(".proto").replace("/", ".") + "_pb2"
        try:
            described = importlib.import_module(module).DESCRIPTOR
        except ImportError as error:
            raise DataError(f"The import {name} is no well-known type.") from error
        return FileDescriptorProto.FromString(described.serialized_pb)
    raise DataError(
        f"The import {name} is missing: name it as a reference in the registry, or write the set "
        "with protoc --include_imports."
    )
