"""Which adapter a name means: built in, a mapping of `endcap.toml`, or a package's own."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from endcap.adapters import BUILT_IN, Adapter, field_mapping, mapped
from endcap.errors import SettingsError

GROUP = "endcap.adapters"
"""The entry point group of adapters of your own: `name = "package.module:function"`."""


def find_adapter(name: str, mappings: Mapping[str, Mapping[str, Any]]) -> Adapter:
    """The adapter of that name; a mapping in the settings comes before an entry point.

    Raises:
        SettingsError: there is none, its mapping is wrong, or its package does not load.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    if name in mappings:
        return mapped(field_mapping(mappings[name]))
    for point in entry_points(group=GROUP, name=name):
        try:
            adapter: Adapter = point.load()
        except (ImportError, AttributeError) as error:
            raise SettingsError(
                f"The adapter {name} ({point.value}) does not load: {error}."
            ) from error
        return adapter
    known = sorted({*BUILT_IN, *mappings, *(point.name for point in entry_points(group=GROUP))})
    raise SettingsError(f"There is no adapter {name}. Known: {', '.join(known)}.")
