"""The layout of the SR-GNN family: training sessions, and prefixes of later sessions to complete.

A folder with `train_sessions.txt` (one session a line: item ids in the order of their clicks,
sessions in the order of time) and `test.tsv` (the clicks before, a tab, and the click that
followed), either with `.gz`. Protocol: https://github.com/CRIPAC-DIG/SR-GNN.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from endcap.catalogue import CatalogueItem
from endcap.errors import DataError
from endcap.events import EventType
from endcap.export.data.interactions import Cuts, DataSet, Interactions, LongArray
from endcap.export.data.text_lines import numbers_of_items, read_lines, words_of_lines

VALIDATION_SHARE = 0.08
"""Of the training sessions, the last. A test of the last week of Diginetica is as large a part."""


class _Sessions(NamedTuple):
    lengths: LongArray
    words: pl.Series


def read_sr_gnn(folder: Path) -> DataSet:
    """Both files as sequences of views: the training sessions, then each line of the test.

    The files say no times: an event's time is the number of its session, from 1. A line of the
    test is a sequence of its own whose last item is the target. `cuts.test_from` is the number of
    the first of them, `cuts.validation_from` that of the first of the last 8 % of the training
    sessions.

    Raises:
        DataError: a file is missing or empty, or a line has not the form above.
    """
    train = _sessions(_one_of(folder, "train_sessions.txt"))
    test = _test_prefixes(_one_of(folder, "test.tsv"))
    n_train, n_test = train.lengths.size, test.lengths.size
    numbers, ids = numbers_of_items(pl.concat([train.words, test.words]))
    lengths = np.concatenate([train.lengths, test.lengths])
    sequences = np.repeat(np.arange(lengths.size, dtype=np.int32), lengths)
    return DataSet(
        name=folder.resolve().name,
        interactions=Interactions(
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            items=numbers,
            types=np.full(numbers.size, EventType.VIEW_ITEM.code, np.int8),
            times_ms=sequences.astype(np.int64) + 1,
            sessions=sequences,
        ),
        sequence_ids=tuple(
            [f"train-{i}" for i in range(1, n_train + 1)]
            + [f"test-{i}" for i in range(1, n_test + 1)]
        ),
        items=tuple(CatalogueItem(item, item) for item in ids),
        facts={
            "source": str(folder),
            "format": "sr-gnn",
            "train_sessions": str(n_train),
            "test_prefixes": str(n_test),
            "events": str(numbers.size),
            "items": str(len(ids)),
            "times": "none in the files; the number of the session stands for them",
        },
        cuts=Cuts(1 + n_train - max(1, round(n_train * VALIDATION_SHARE)), 1 + n_train),
    )


def _one_of(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(
        f"{folder} has neither {name} nor {name}.gz. The format sr-gnn is a folder with "
        "train_sessions.txt and test.tsv; see docs/models.md."
    )


def _sessions(path: Path) -> _Sessions:
    lengths, words = words_of_lines(read_lines(path))
    return _Sessions(lengths, words)


def _test_prefixes(path: Path) -> _Sessions:
    lines = read_lines(path)
    formed = lines.str.contains(r"^\s*\S[^\t]*\t\s*\S+\s*$")
    if not formed.all():
        row = int((~formed).arg_true()[0])
        raise DataError(
            f"{path}, line {row + 1}: {lines[row]!r} is not 'item item ...<TAB>target'."
        )
    lengths, words = words_of_lines(lines)
    return _Sessions(lengths, words)
