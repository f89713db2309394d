"""YAML whose values know their lines, and all that is wrong with them, not the first alone."""

from collections.abc import Collection
from typing import Any, NamedTuple

import yaml

from endcap.errors import SettingsError
from endcap.near_names import did_you_mean

MAX_BYTES = 256 * 1024
_DEPTH = 20
MAX_VALUES = 20_000
"""Values of all lists together, those that are repeated by an alias counted each time."""


class Mistake(NamedTuple):
    """What is wrong in a line (from 1), as a sentence that says what to do."""

    line: int
    says: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.says}"


class FileMistakesError(SettingsError):
    """A file that says what cannot be done; `mistakes` has all of them, in order of their lines."""

    def __init__(self, what: str, mistakes: Collection[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes))
        super().__init__("\n".join([what, *(f"  {mistake}" for mistake in self.mistakes)]))


class Node:
    """A value of the file: what it should be is asked by name, and a mistake is noted once."""

    def __init__(self, node: Any, noted: list[Mistake], path: str, left: list[int]) -> None:
        self._node = node
        self._noted = noted
        self._left = left
        self.path = path

    @property
    def line(self) -> int:
        """Where it begins."""
        return int(self._node.start_mark.line) + 1

    @property
    def is_mapping(self) -> bool:
        """Whether it has keys."""
        return isinstance(self._node, yaml.MappingNode)

    def wrong(self, says: str) -> None:
        """Note a mistake at this value."""
        mistake = Mistake(self.line, says)
        if mistake not in self._noted:
            self._noted.append(mistake)

    def fields(self, known: Collection[str] = ()) -> dict[str, "Node"]:
        """The values by key; `known` empty: any key may be there."""
        if not isinstance(self._node, yaml.MappingNode):
            self.wrong(f"{self.path} must have keys ({', '.join(known) or 'name: value'}).")
            return {}
        found: dict[str, Node] = {}
        for key, value in self._node.value:
            at = self._of(key, self.path)
            name = str(key.value)
            if not isinstance(key, yaml.ScalarNode):
                at.wrong("A key must be a plain word.")
            elif known and name not in known:
                hint = did_you_mean(name, known) or f" Known: {', '.join(known)}."
                at.wrong(f"{name} is unknown in {self.path}.{hint}")
            elif name in found:
                at.wrong(f"{name} stands twice in {self.path}: keep one.")
            else:
                found[name] = self._of(value, name)
        return found

    def values(self) -> list["Node"]:
        """Of a list; a single value is a list of one."""
        if isinstance(self._node, yaml.SequenceNode):
            found = [self._of(value, self.path) for value in self._node.value]
            if not found:
                self.wrong(f"{self.path} is an empty list: name something, or leave it out.")
        else:
            found = [self]
        self._left[0] -= len(found)
        if self._left[0] < 0:
            self.wrong(f"The file names more than {MAX_VALUES:,} values: name a category instead.")
            return []
        return found

    def rows(self) -> list["Node"]:
        """Of a list that must be one; it may be empty."""
        if not isinstance(self._node, yaml.SequenceNode):
            self.wrong(f"{self.path} must be a list: each begins with a dash.")
            return []
        return [self._of(value, self.path) for value in self._node.value]

    def text(self) -> str:
        """As it stands in the file: an id of digits keeps its zeros. "" where it is wrong."""
        if not isinstance(self._node, yaml.ScalarNode):
            self.wrong(f"{self.path} must be a word, a number or a text.")
            return ""
        if not self._node.value.strip() or self._node.tag == "tag:yaml.org,2002:null":
            self.wrong(f"{self.path} is empty.")
            return ""
        return str(self._node.value)

    def texts(self) -> tuple[str, ...]:
        """One or several, without double."""
        return tuple(dict.fromkeys(text for value in self.values() if (text := value.text())))

    def number(self, low: float, high: float) -> float | None:
        """From `low` to `high`; None where it is wrong."""
        said = self.text()
        if not said:
            return None
        try:
            value = float(said)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            self.wrong(f"{self.path} is {said}; it must be a number from {low:g} to {high:g}.")
            return None
        return value

    def whole(self, low: int, high: int) -> int | None:
        """A whole number from `low` to `high`; None where it is wrong."""
        value = self.number(low, high)
        if value is not None and value != int(value):
            self.wrong(f"{self.path} must be a whole number from {low} to {high}.")
            return None
        return None if value is None else int(value)

    def _of(self, node: Any, path: str) -> "Node":
        return Node(node, self._noted, path, self._left)


def open_yaml(text: str, what: str, noted: list[Mistake]) -> Node | None:
    """The whole file; None where it is empty, or no YAML, which is then noted."""
    if len(text.encode()) > MAX_BYTES:
        noted.append(Mistake(1, f"The file is larger than {MAX_BYTES // 1024} KiB."))
        return None
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        # What lies thousands deep would end the process when nodes are made of it.
        if too_deep := _line_too_deep(text, loader):
            noted.append(Mistake(too_deep, f"More than {_DEPTH} values lie in one another here."))
            return None
        node = yaml.compose(text, loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        noted.append(Mistake(mark.line + 1 if mark else 1, f"This is no YAML: {error.problem}."))
        return None
    except (yaml.YAMLError, RecursionError) as error:
        noted.append(Mistake(1, f"This is no YAML: {error}."))
        return None
    return None if node is None else Node(node, noted, what, [MAX_VALUES])


def _line_too_deep(text: str, loader: Any) -> int:
    """Where values begin that lie deeper than `_DEPTH`; 0: nowhere."""
    depth = 0
    for event in yaml.parse(text, loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEPTH:
                mark = event.start_mark
                return mark.line + 1 if mark else 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return 0
