"""The sources of `endcap.toml`: checked, and made of the parts that read them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from endcap.adapters import Decoder, csv_line, json_object
from endcap.deploy.adapters import NamedAdapter, find_adapter, find_decoder, under_pseudonyms
from endcap.deploy.settings import Settings
from endcap.errors import DataError, RuntimeConflictError, SettingsError
from endcap.streams.ingest_batch import Source
from endcap.streams.record_decoders import PlainDecoder, RecordDecoder

TEXT = {"json", "csv"}
BINARY = {"avro", "protobuf"}
_EXAMPLE = '[sources.clicks]\ntopic = "shop.clicks"\nadapter = "segment"'


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One source as it stands in `endcap.toml`: see docs/adapters.md."""

    topic: str
    adapter: str = "native"
    format: str | None = None
    columns: tuple[str, ...] = ()
    registry: str | None = None
    schema: str | None = None
    message: str | None = None


class OpenSources(NamedTuple):
    """Sources ready to be read, and the registries that they ask, by URL."""

    sources: tuple[Source, ...]
    registries: Mapping[str, Any]

    async def close(self) -> None:
        """Give the registries' connections back."""
        for registry in self.registries.values():
            await registry.close()


def open_sources(settings: Settings) -> OpenSources:
    """All sources of the settings; nothing is asked of anybody yet.

    Raises:
        SettingsError: there is none, or one is wrong; the message names it and the right form.
        RuntimeConflictError: a format needs a library that is not installed.
    """
    if not settings.sources:
        raise SettingsError(f"There are no sources. Name one in endcap.toml:\n{_EXAMPLE}")
    read = source_settings(settings)
    _refuse_shared_topics(read, settings)
    registries: dict[str, Any] = {}
    sources = []
    for name, source in read.items():
        try:
            found = find_adapter(source.adapter, settings.adapters)
            decoder = _decoder(source, found, registries)
        except (SettingsError, DataError) as error:
            raise SettingsError(f"The source {name}: {error}") from error
        adapt = under_pseudonyms(found.adapt, settings.naming)
        sources.append(Source(name, source.topic, decoder, adapt))
    return OpenSources(tuple(sources), registries)


def source_settings(settings: Settings) -> dict[str, SourceSettings]:
    """What is said of each source, by its name.

    Raises:
        SettingsError: a source is not right; the message names it and the right form.
    """
    return {name: _read(name, given) for name, given in settings.sources.items()}


def _read(name: str, given: Mapping[str, Any]) -> SourceSettings:
    try:
        return msgspec.convert(given, SourceSettings)
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"The source {name} is not right: {error}. It takes topic, adapter, format, columns, "
            f"registry, schema and message. Example:\n{_EXAMPLE}"
        ) from error


def _refuse_shared_topics(read: Mapping[str, SourceSettings], settings: Settings) -> None:
    owners: dict[str, str] = {topic.name: "endcap itself" for topic in settings.topics}
    for name, source in read.items():
        if source.topic in owners:
            raise SettingsError(
                f"The source {name}: its topic {source.topic} belongs to {owners[source.topic]}. "
                "Each source needs a topic of its own."
            )
        owners[source.topic] = f"the source {name}"


def _decoder(
    source: SourceSettings, adapter: NamedAdapter, registries: dict[str, Any]
) -> RecordDecoder:
    kind = source.format
    if kind in BINARY:
        return _binary(source, registries)
    if source.registry or source.schema or source.message:
        raise SettingsError(
            'registry, schema and message need format = "avro" or format = "protobuf".'
        )
    return PlainDecoder(_text(source, adapter))


def _text(source: SourceSettings, adapter: NamedAdapter) -> Decoder:
    kind, columns = source.format, source.columns or adapter.columns
    if kind is None and not source.columns:
        return adapter.decode
    if kind in {None, "csv"}:
        if not columns:
            raise SettingsError('format = "csv" needs columns = ["time", "user", ...].')
        return csv_line(columns)
    if source.columns:
        raise SettingsError('columns need format = "csv".')
    if kind == "json":
        return json_object
    own = find_decoder(str(kind))
    if own is None:
        raise SettingsError(
            f"format is {kind!r}; known: {', '.join(sorted(TEXT | BINARY))}, and decoders of your "
            "own (entry point group endcap.decoders)."
        )
    return own


def _binary(source: SourceSettings, registries: dict[str, Any]) -> RecordDecoder:
    """Imports are here: a shop that sends JSON needs none of these libraries."""
    if source.columns:
        raise SettingsError('columns need format = "csv".')
    if (source.registry is None) == (source.schema is None):
        raise SettingsError(
            f'format = "{source.format}" needs either registry = "http://host:8081" or '
            'schema = "path/to/file".'
        )
    if source.message is not None and (source.format != "protobuf" or source.registry):
        raise SettingsError('message is for format = "protobuf" with schema = "file".')
    try:
        return _of_registry(source, registries) if source.registry else _of_file(source)
    except ImportError as error:
        raise RuntimeConflictError(
            f'format = "{source.format}" needs {error.name}: pip install ".[formats]" in a clone.'
        ) from error


def _of_registry(source: SourceSettings, registries: dict[str, Any]) -> RecordDecoder:
    import httpx

    from endcap.streams.registry_decoder import (
        RegistryDecoder,
        compiled_avro,
        compiled_protobuf,
    )
    from endcap.streams.schema_registry import SchemaRegistry

    url = str(source.registry)
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SettingsError(f"registry is not a URL ({error}).") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise SettingsError('registry must be a URL such as "http://host:8081".')
    registry = registries.setdefault(url, SchemaRegistry(url))
    return RegistryDecoder(
        registry, compiled_avro if source.format == "avro" else compiled_protobuf
    )


def _of_file(source: SourceSettings) -> RecordDecoder:
    path = Path(str(source.schema))
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"schema = {str(path)!r} cannot be read: {error}.") from error
    try:
        if source.format == "avro":
            from endcap.streams.avro_format import avro_decoder

            return PlainDecoder(avro_decoder(raw.decode(errors="replace")))
        from endcap.streams.protobuf_format import decoder_of_set

        if not source.message:
            raise SettingsError('a Protobuf schema file needs message = "package.Name".')
        return PlainDecoder(decoder_of_set(raw, source.message))
    except DataError as error:
        raise SettingsError(f"schema = {str(path)!r}: {error}") from error
