"""YAML whose values know their lines, and all that is wrong with them, not the first alone."""

import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
import yaml

from endcap.errors import SettingsError
from endcap.near_names import did_you_mean

MAX_BYTES = 256 * 1024
_DEPTH = 20
MAX_VALUES = 20_000
"""Values of all lists together, those that are repeated by an alias counted each time."""
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_MEANS: Any = yaml.constructor.SafeConstructor()
_TYPED = {
    "tag:yaml.org,2002:null": _MEANS.construct_yaml_null,
    "tag:yaml.org,2002:bool": _MEANS.construct_yaml_bool,
    "tag:yaml.org,2002:int": _MEANS.construct_yaml_int,
    "tag:yaml.org,2002:float": _MEANS.construct_yaml_float,
}
"""All else is text, times too: which zone a bare one is in is not YAML's to say."""
T = TypeVar("T")


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

    def as_type(self, kind: type[T]) -> T | None:
        """The value and all that it holds as msgspec converts it; None where it has another form,
        which is noted."""
        before = len(self._noted)
        value = self._plain(0)
        if len(self._noted) > before:
            return None
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            says, _, where = str(error).partition(" - at `")
            path = [name or int(place) for name, place in _STEP.findall(where)]
            shown = ".".join(map(str, path))
            self.wrong_at(path, f"{shown}: {says}." if shown else f"{says}.")
            return None

    def wrong_at(self, path: Sequence[str | int], says: str) -> None:
        """Note a mistake at what the keys and places lead to, or at what holds it."""
        node, line = self._node, self.line
        for step in path:
            found = _inner(node, step)
            if found is None:
                break
            line, node = found
        self._noted.append(Mistake(line, says))

    def _plain(self, depth: int) -> Any:
        """Mappings, lists, texts and numbers; what cannot be is noted."""
        self._left[0] -= 1
        # An alias may stand for what it lies in.
        if self._left[0] < 0 or depth > _DEPTH:
            self.wrong("The file holds too many values, or values that hold themselves.")
            return None
        if isinstance(self._node, yaml.MappingNode):
            return {name: value._plain(depth + 1) for name, value in self.fields().items()}
        if isinstance(self._node, yaml.SequenceNode):
            return [self._of(value, self.path)._plain(depth + 1) for value in self._node.value]
        try:
            return _TYPED.get(self._node.tag, _MEANS.construct_scalar)(self._node)
        except (ValueError, LookupError):
            self.wrong(f"{self.path} is {self._node.value}, which is no {self._node.tag[18:]}.")
            return None

    def _of(self, node: Any, path: str) -> "Node":
        return Node(node, self._noted, path, self._left)


def _inner(node: Any, step: str | int) -> tuple[int, Any] | None:
    """The line (a key's own) and the node behind one key or place; None: there is none."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return int(key.start_mark.line) + 1, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return int(node.value[step].start_mark.line) + 1, node.value[step]
    return None


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
