"""The layout of S3-Rec: one user a line with all their items in order, and items' attributes.

`Beauty.txt` ("user item item ...") and beside it `Beauty_item2attributes.json`
({"item": [attribute, ...]}), either with `.gz`. From https://github.com/RUCAIBox/CIKM2020-S3Rec.
"""

import gzip
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from endcap.arrays import IntArray
from endcap.catalogue import CatalogueItem
from endcap.errors import DataError
from endcap.events import EventType
from endcap.export.data.interactions import DataSet, Interactions, LongArray
from endcap.export.data.text_lines import numbers_of_items, read_lines, words_of_lines


class Attributes(NamedTuple):
    """What kind of thing an item is: `values[offsets[i - 1]:offsets[i]]` are the attributes of
    item index i, numbers from 1 to `n_attributes`."""

    offsets: LongArray
    values: IntArray
    n_attributes: int


_attributes = msgspec.json.Decoder(dict[str, list[int | str]])


def read_s3rec(path: Path) -> DataSet:
    """A file, or a folder with one, as sequences of views.

    The file says no times: an event's time is its place in the user's line, from 1, and the whole
    line is one session.

    Raises:
        DataError: the file is missing or empty, a line has no item, or a user has two lines.
    """
    path = _sequences_file(path)
    lengths, words = words_of_lines(read_lines(path))
    if lengths.min() < 2:
        line = int(lengths.argmin()) + 1
        raise DataError(f"{path}, line {line} has no item; a line is 'user item item ...'.")
    firsts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    users = words.gather(firsts)
    if users.is_duplicated().any():
        line = int(users.is_duplicated().arg_true()[0]) + 1
        raise DataError(
            f"{path}, line {line}: user {users[line - 1]} has more than one line; put all that a "
            "user did into one."
        )
    is_item = np.ones(len(words), bool)
    is_item[firsts] = False
    numbers, ids = numbers_of_items(words.filter(is_item))
    counts = lengths - 1
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return DataSet(
        name=path.name.split(".")[0],
        interactions=Interactions(
            offsets=offsets,
            items=numbers,
            types=np.full(numbers.size, EventType.VIEW_ITEM.code, np.int8),
            times_ms=np.arange(numbers.size) - np.repeat(offsets[:-1], counts) + 1,
            sessions=np.repeat(np.arange(counts.size, dtype=np.int32), counts),
        ),
        sequence_ids=tuple(users.to_list()),
        items=tuple(CatalogueItem(item, item) for item in ids),
        facts={
            "source": str(path),
            "format": "s3rec",
            "users": str(counts.size),
            "events": str(numbers.size),
            "items": str(len(ids)),
            "times": "none in the file; the place in the user's line stands for them",
        },
    )


def read_attributes(path: Path, items: tuple[CatalogueItem, ...]) -> Attributes:
    """The attributes of `items` from `NAME_item2attributes.json` beside the sequences.

    Raises:
        DataError: there is no such file, or it has another form.
    """
    sequences = _sequences_file(path)
    name = f"{sequences.name.split('.')[0]}_item2attributes.json"
    found = [p for p in (sequences.parent / name, sequences.parent / f"{name}.gz") if p.is_file()]
    if not found:
        raise DataError(f"There is no {name} beside {sequences}.")
    try:
        raw = found[0].read_bytes()
        said = _attributes.decode(gzip.decompress(raw) if found[0].suffix == ".gz" else raw)
    except (OSError, EOFError, msgspec.DecodeError) as error:
        raise DataError(
            f'{found[0]} is not {{"item": [attribute, ...]}} as JSON: {error}.'
        ) from error
    lists = [said.get(item.item_id, []) for item in items]
    named = sorted({value for values in lists for value in values}, key=str)
    number = {value: i for i, value in enumerate(named, start=1)}
    return Attributes(
        np.concatenate([[0], np.cumsum([len(values) for values in lists])]).astype(np.int64),
        np.array([number[value] for values in lists for value in values], np.int32),
        len(named),
    )


def _sequences_file(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted([*path.glob("*.txt"), *path.glob("*.txt.gz")])
    if len(found) != 1:
        has = ", ".join(p.name for p in found) or "none"
        raise DataError(
            f"{path} should be a file of the format s3rec, or a folder with one *.txt or "
            f"*.txt.gz; found: {has}."
        )
    return found[0]
