"""Text files of one sequence a line, as the literature keeps its data sets."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl

from endcap.arrays import IntArray
from endcap.errors import DataError
from endcap.export.data.interactions import LongArray


def read_lines(path: Path) -> pl.Series:
    """The lines of a text, of a `.gz` as well; the end of the last may be empty.

    Raises:
        DataError: not readable, not UTF-8, without a line, or with an empty one.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = raw.decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {error}.") from error
    lines = pl.Series("line", text.splitlines(), dtype=pl.String)
    if lines.is_empty():
        raise DataError(f"{path} has no line: there is nothing to learn from.")
    empty = lines.str.strip_chars() == ""
    if empty.any():
        row = int(empty.arg_true()[0])
        raise DataError(f"{path}, line {row + 1} is empty; a line is one sequence of item ids.")
    return lines


def words_of_lines(lines: pl.Series) -> tuple[LongArray, pl.Series]:
    """How many words each line has, and all words one after the other."""
    words = lines.str.extract_all(r"\S+")
    return words.list.len().to_numpy().astype(np.int64), words.explode().rename("word")


def numbers_of_items(words: pl.Series) -> tuple[IntArray, list[str]]:
    """Item indexes from 1 in the order of the ids, and the ids in the order of the indexes.

    The order says nothing of how often an item is met: that would tell of the test.
    """
    distinct = words.unique()
    whole = distinct.str.contains(r"^[0-9]{1,18}$").all()
    ids = distinct.to_frame("word").sort(
        pl.col("word").cast(pl.Int64) if whole else pl.col("word"), "word"
    )
    index = ids.with_row_index("index", offset=1)
    numbers = words.to_frame("word").join(index, on="word", how="left", maintain_order="left")
    return numbers["index"].cast(pl.Int32).to_numpy(), ids["word"].to_list()
