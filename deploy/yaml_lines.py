"""YAML files that people write: read so that each mistake can be said with its line."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import yaml

from endcap.errors import SettingsError

T = TypeVar("T")
Key = tuple[str | int, ...]
"""The keys and places that lead to a value."""
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


class Written(NamedTuple):
    """What the file holds, and on which line each of its values stands, from 1."""

    path: Path
    value: Any
    lines: dict[Key, int]

    def line_of(self, key: Key) -> int:
        """Of the value, or of what holds it where it is not written itself."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)

    def refused(self, mistakes: Sequence[tuple[Key, str]]) -> SettingsError:
        """All of them, each with its file and line."""
        told = sorted((self.line_of(key), says) for key, says in mistakes)
        return SettingsError("\n".join(f"{self.path}, line {line}: {says}." for line, says in told))

    def as_type(self, kind: type[T]) -> T:
        """The values as what they should be.

        Raises:
            SettingsError: the first that has another form, with its line.
        """
        try:
            return msgspec.convert(self.value, kind)
        except msgspec.ValidationError as error:
            says, _, where = str(error).partition(" - at `")
            key = tuple(name or int(place) for name, place in _STEP.findall(where))
            shown = ".".join(str(step) for step in key)
            raise self.refused([(key, f"{shown}: {says}" if shown else says)]) from error


def read_yaml(path: Path) -> Written:
    """The file, whole.

    Raises:
        SettingsError: it cannot be read, is not YAML, or names a key twice.
        FileNotFoundError: there is none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.") from error
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        lines: dict[Key, int] = {}
        value = None if root is None else _value(loader, root, (), lines, path)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsError(f"{path}, line {line}: not YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not YAML: {error}.") from error
    finally:
        loader.dispose()
    return Written(path, value, lines)


class _Loader(yaml.SafeLoader):
    """Times stay as they are written: which zone a bare one is in is not YAML's to say."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _value(loader: _Loader, node: yaml.Node, key: Key, lines: dict[Key, int], path: Path) -> Any:
    lines[key] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return dict(_pairs(loader, node, key, lines, path))
    if isinstance(node, yaml.SequenceNode):
        return [
            _value(loader, part, (*key, place), lines, path)
            for place, part in enumerate(node.value)
        ]
    return loader.construct_object(node)


def _pairs(
    loader: _Loader, node: yaml.MappingNode, key: Key, lines: dict[Key, int], path: Path
) -> Iterator[tuple[str, Any]]:
    seen = set[str]()
    for name_node, part in node.value:
        name, line = str(name_node.value), name_node.start_mark.line + 1
        if name in seen:
            raise SettingsError(f"{path}, line {line}: {name} is named twice.")
        seen.add(name)
        value = _value(loader, part, (*key, name), lines, path)
        lines[*key, name] = line
        yield name, value
