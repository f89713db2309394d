"""Which adapter a name means: built in, a mapping of `endcap.toml`, or a package's own."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from endcap.adapters import (
    BUILT_IN,
    REES46_COLUMNS,
    Adapter,
    Decoder,
    Row,
    field_mapping,
    json_object,
    line_or_object,
    mapped,
)
from endcap.errors import SettingsError
from endcap.events import Event
from endcap.pseudonyms import Naming, renamed

ADAPTERS = "endcap.adapters"
"""The entry point group of adapters of your own: `name = "package.module:function"`."""
DECODERS = "endcap.decoders"
"""The entry point group of decoders of your own: the formats that endcap does not know."""


class NamedAdapter(NamedTuple):
    """An adapter, how it reads text, and the columns of a CSV line where it has any."""

    adapt: Adapter
    decode: Decoder
    columns: tuple[str, ...] = ()


def find_adapter(name: str, mappings: Mapping[str, Mapping[str, Any]]) -> NamedAdapter:
    """The adapter of that name; a mapping in the settings comes before an entry point.

    Raises:
        SettingsError: there is none, its mapping is wrong, or its package does not load.
    """
    if name in BUILT_IN:
        columns = REES46_COLUMNS if name == "rees46" else ()
        return _of_text(BUILT_IN[name], columns)
    if name in mappings:
        mapping = field_mapping(mappings[name])
        return _of_text(mapped(mapping), mapping.columns)
    own: Adapter | None = _load(ADAPTERS, name)
    if own is None:
        known = sorted({*BUILT_IN, *mappings, *_names(ADAPTERS)})
        raise SettingsError(f"There is no adapter {name}. Known: {', '.join(known)}.")
    return _of_text(own, ())


def under_pseudonyms(adapt: Adapter, name: Naming | None) -> Adapter:
    """The adapter, and ids as they are to be kept."""
    if name is None:
        return adapt

    def adapt_and_rename(row: Row) -> Event | None:
        event = adapt(row)
        return None if event is None else renamed(event, name)

    return adapt_and_rename


def find_decoder(name: str) -> Decoder | None:
    """A package's own decoder of that name, or None.

    Raises:
        SettingsError: its package does not load.
    """
    found: Decoder | None = _load(DECODERS, name)
    return found


def _of_text(adapt: Adapter, columns: tuple[str, ...]) -> NamedAdapter:
    return NamedAdapter(adapt, line_or_object(columns) if columns else json_object, columns)


def _load(group: str, name: str) -> Any:
    for point in entry_points(group=group, name=name):
        try:
            return point.load()
        except (ImportError, AttributeError) as error:
            raise SettingsError(
                f"{name} of {group} ({point.value}) does not load: {error}."
            ) from error
    return None


def _names(group: str) -> set[str]:
    return {point.name for point in entry_points(group=group)}
