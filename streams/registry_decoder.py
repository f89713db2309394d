"""Records that name their schema: decoded by what the registry says of it."""

import asyncio
import base64
import binascii
import time
from collections.abc import Awaitable, Callable, Iterable

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError

from endcap.adapters import Decoder, Row
from endcap.errors import DataError, InvalidEventError
from endcap.streams.avro_format import avro_decoder
from endcap.streams.protobuf_format import message_at, message_decoder, pool_of, read_indexes
from endcap.streams.protoc import compile_proto
from endcap.streams.schema_registry import Schema, SchemaRegistry

_MAGIC, _HEAD = 0, 5
_ASK_AGAIN_S = 30.0
_REFUSALS = 10_000


class RegistryDecoder:
    """Records in Confluent's wire format: a zero byte, the schema's id in four bytes, the payload.

    A schema is asked for once. That there is none, or that it cannot be used, holds for half a
    minute: it may be registered or mended, and a burst of rubbish must not become one of requests.
    """

    def __init__(
        self, registry: SchemaRegistry, compiled: Callable[[Schema], Awaitable[Decoder]]
    ) -> None:
        self._registry = registry
        self._compiled = compiled
        self._decoders: dict[int, Decoder] = {}
        self._refused: dict[int, tuple[float, InvalidEventError]] = {}

    async def prepare(self, values: Iterable[bytes]) -> None:
        """Ask for the schemas that these records name and that are not known yet."""
        now = time.monotonic()
        for schema_id in {_schema_id(raw) for raw in values if _is_framed(raw)}:
            refused_s, _ = self._refused.get(schema_id, (-_ASK_AGAIN_S, None))
            if schema_id in self._decoders or now - refused_s < _ASK_AGAIN_S:
                continue
            try:
                self._decoders[schema_id] = await self._compiled(
                    await self._registry.schema(schema_id)
                )
            except InvalidEventError as error:
                self._refuse(schema_id, error)
            except DataError as error:
                self._refuse(schema_id, InvalidEventError("schema_id", f"{schema_id}: {error}"))

    def decode(self, raw: bytes) -> Row:
        """Prepared before."""
        if not _is_framed(raw):
            raise InvalidEventError(
                "framing",
                "The value does not begin with a zero byte and a schema's id: it was written "
                "without a schema registry.",
            )
        decoder = self._decoders.get(_schema_id(raw))
        if decoder is None:
            raise self._refused[_schema_id(raw)][1]
        return decoder(raw[_HEAD:])

    def _refuse(self, schema_id: int, error: InvalidEventError) -> None:
        if len(self._refused) >= _REFUSALS:
            self._refused.clear()
        self._refused[schema_id] = time.monotonic(), error


async def compiled_avro(schema: Schema) -> Decoder:
    """The decoder of records written with this schema."""
    _expect(schema, "AVRO")
    return avro_decoder(schema.text, [each.text for _, each in _referred(schema)])


async def compiled_protobuf(schema: Schema) -> Decoder:
    """The decoder of messages of this schema's file, which begin with the indexes of theirs."""
    _expect(schema, "PROTOBUF")
    name, files = await _proto_files(schema)
    pool = pool_of(files)
    file = pool.FindFileByName(name)
    decoders: dict[tuple[int, ...], Decoder] = {}

    def decode(payload: bytes) -> Row:
        path, message = read_indexes(payload)
        decoder = decoders.get(path)
        if decoder is None:
            decoder = decoders[path] = message_decoder(message_at(file, path), pool)
        return decoder(message)

    return decode


_ROOT = "endcap-root.proto"
"""A name that no import has."""


async def _proto_files(schema: Schema) -> tuple[str, list[FileDescriptorProto]]:
    """As text, or as the serialized descriptor that some producers register."""
    parts = dict(_referred(schema))
    described = _descriptor(schema.text)
    if described is None:
        texts = {_ROOT: schema.text} | {name: each.text for name, each in parts.items()}
        return _ROOT, await asyncio.to_thread(compile_proto, _ROOT, texts)
    files = [described]
    for name, each in parts.items():
        file = _descriptor(each.text)
        if file is None:
            raise DataError(f"The reference {name} is text, and what refers to it is serialized.")
        file.name = name
        files.append(file)
    return described.name, files


def _descriptor(text: str) -> FileDescriptorProto | None:
    try:
        return FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, DecodeError):
        return None


def _referred(schema: Schema) -> list[tuple[str, Schema]]:
    """Everything it refers to, each before what refers to it, once."""
    found: dict[str, Schema] = {}
    for name, each in schema.references:
        for inner_name, inner in _referred(each):
            found.setdefault(inner_name, inner)
        found.setdefault(name, each)
    return list(found.items())


def _expect(schema: Schema, kind: str) -> None:
    if schema.kind != kind:
        raise DataError(f"the schema is of {schema.kind}; the source's format is {kind}.")


def _is_framed(raw: bytes) -> bool:
    return len(raw) >= _HEAD and raw[0] == _MAGIC


def _schema_id(raw: bytes) -> int:
    return int.from_bytes(raw[1:_HEAD])
