"""CSV and Parquet as lazy tables under endcap's own names of columns, each row numbered."""

import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from glob import glob, has_magic
from pathlib import Path
from typing import NamedTuple

import polars as pl

from endcap.errors import DataError
from endcap.near_names import did_you_mean, nearest_names

_ALSO_CALLED = {
    "user_id": ("user", "userid", "visitorid", "visitor_id", "customer_id", "customerid", "uid"),
    "item_id": ("item", "itemid", "product_id", "productid", "product", "aid", "sku", "id"),
    "event_type": ("event", "type", "event_name", "behavior", "behaviour", "action"),
    "timestamp": ("ts", "time", "event_time", "event_timestamp", "timestamp_ms", "datetime"),
    "title": ("name", "product_name", "item_name", "product_title", "product", "description"),
}
"""For the suggestion in an error alone, the surest first: a column is never guessed."""

_ROW = "endcap_row"
"""While a file is opened: it may have a column `row` of its own."""

_SEPARATORS = {".csv": ",", ".tsv": "\t"}


class Table(NamedTuple):
    """`frame`: `row` (from 1, over all files in the order of their names) and the columns found.
    Text of CSV stays text; columns of Parquet keep their type. `text_bytes`: about how large
    all of it is as text."""

    frame: pl.LazyFrame
    columns: tuple[str, ...]
    files: tuple[Path, ...]
    text_bytes: int


def open_table(
    path: Path,
    required: Sequence[str],
    optional: Sequence[str],
    columns: Mapping[str, str],
    option: str = "--column",
) -> Table:
    """Open CSV (`.csv`, `.tsv`, either with `.gz`) or Parquet: a file, a folder or a glob of them.

    `columns` says what the file calls ours: {"user_id": "visitorid"}; "=purchase" instead of a name
    gives every row that value. `option`: by which it is said on the command line.

    Raises:
        DataError: nothing there, an unknown form, or a column is missing.
    """
    files = _files(path)
    form, gzipped = _form(files[0])
    if odd := [f for f in files if _form(f) != (form, gzipped)]:
        raise DataError(
            f"{path} holds files of several forms: {files[0].name}, {odd[0].name}. Give a glob "
            "that takes those of one, such as 'events/*.parquet'."
        )
    with reading(files):
        if form == ".parquet":
            frame = pl.scan_parquet(list(files), row_index_name=_ROW, row_index_offset=1)
        else:
            frame = pl.scan_csv(
                list(files),
                separator=_SEPARATORS[form],
                infer_schema=False,
                row_index_name=_ROW,
                row_index_offset=1,
            )
        kinds = frame.collect_schema()
    has = [name for name in kinds if name != _ROW]
    size = sum(f.stat().st_size for f in files) * (6 if form == ".parquet" or gzipped else 1)
    named = _named(path, has, required, optional, columns, option)
    theirs = sorted(
        {name for expression in named.values() for name in expression.meta.root_names()}
    )
    for name in theirs:
        if kinds[name].is_nested() or kinds[name] in (pl.Boolean, pl.Binary, pl.Duration, pl.Time):
            raise DataError(
                f"The column {name} of {path} is of the type {kinds[name]}; it should be text, "
                "numbers or, for a time, dates."
            )
    if form in _SEPARATORS and theirs:  # an empty line is no row, though it has its number
        frame = frame.filter(pl.any_horizontal(pl.col(theirs).is_not_null()))
    return Table(
        frame.select(
            pl.col(_ROW).alias("row"),
            *[expression.alias(ours) for ours, expression in named.items()],
        ),
        tuple(named),
        files,
        size,
    )


def text_of(name: str, kind: pl.DataType) -> pl.Expr:
    """A column as text, null where there is none. What was counted in floats for want of a null
    (17850.0) is taken as whole."""
    column = pl.col(name)
    if kind.is_float():
        whole = column.cast(pl.Int64, strict=False)
        text = (
            pl.when(column == whole).then(whole.cast(pl.String)).otherwise(column.cast(pl.String))
        )
    else:
        text = column.cast(pl.String)
    stripped = text.str.strip_chars()
    return pl.when(stripped != "").then(stripped)


@contextmanager
def reading(files: tuple[Path, ...]) -> Iterator[None]:
    """Says which row of which file is broken where Polars cannot read on."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError, EOFError) as error:
        for file in files:
            if place := _broken_row(file):
                raise DataError(f"{file}, {place}") from error
        said = str(error).split("\n", 1)[0]
        raise DataError(f"{files[0]} cannot be read: {said.rstrip('.')}.") from error


def place_of(row: int, files: tuple[Path, ...]) -> str:
    """Which row of which file it is, for a message."""
    for file in files if len(files) > 1 else ():
        form, _ = _form(file)
        rows = (
            pl.scan_parquet(file)
            if form == ".parquet"
            else pl.scan_csv(file, separator=_SEPARATORS[form], infer_schema=False)
        )
        height = int(rows.select(pl.len()).collect().item())
        if row <= height:
            return f"{file}, row {row}"
        row -= height
    return f"{files[0]}, row {row}"


def _files(path: Path) -> tuple[Path, ...]:
    if path.is_file():
        return (path,)
    if path.is_dir():
        found = tuple(sorted(path.rglob("*.parquet")))
        if not found:
            raise DataError(
                f"{path} has no *.parquet in it; give an events file, or a glob such as "
                f"'{path}/*.csv.gz'."
            )
        return found
    if has_magic(str(path)):
        found = tuple(sorted(Path(name) for name in glob(str(path), recursive=True)))
        if found:
            return found
        raise DataError(f"No file fits the pattern {path}.")
    raise DataError(f"There is no file {path}.")


def _form(file: Path) -> tuple[str, bool]:
    gzipped = file.suffix == ".gz"
    form = Path(file.stem).suffix if gzipped else file.suffix
    if form in _SEPARATORS or (form == ".parquet" and not gzipped):
        return form, gzipped
    raise DataError(
        f"{file.name} should end in .csv, .tsv (or these with .gz) or .parquet, so that one knows "
        "how to read it."
    )


def _named(
    path: Path,
    has: list[str],
    required: Sequence[str],
    optional: Sequence[str],
    columns: Mapping[str, str],
    option: str,
) -> dict[str, pl.Expr]:
    ours = [*required, *optional]
    for name, theirs in columns.items():
        if name not in ours:
            raise DataError(
                f"{option} {name}={theirs}: there is no column {name!r} to map."
                f"{did_you_mean(name, ours)} Those are {', '.join(ours)}."
            )
    named = {}
    for name in ours:
        theirs = columns.get(name, name)
        if theirs.startswith("="):
            named[name] = pl.lit(theirs[1:])
        elif theirs in has:
            named[name] = pl.col(theirs)
        elif name in columns or name in required:
            raise DataError(
                f"{path} has no column {theirs!r} for {name}; it has {', '.join(has)}; "
                f"{_suggestion(name, theirs, [c for c in has if c not in ours], option)}."
            )
    return named


def _suggestion(name: str, theirs: str, others: list[str], option: str) -> str:
    """`others`: the file's columns that have none of our names."""
    if len(others) == 1 and ";" in others[0]:
        return "the columns seem to be separated by semicolons; save them with commas"
    by_lower = {other.lower(): other for other in others}
    alike = [by_lower[called] for called in _ALSO_CALLED.get(name, ()) if called in by_lower]
    typed = nearest_names(theirs, others)
    best = [*alike, *typed] if theirs == name else [*typed, *alike]
    return f"say which it is by {option} {name}={best[0] if best else 'ITS_NAME'}"


def _broken_row(file: Path) -> str:
    """Where a CSV stops being one; empty where it does not, or is none."""
    form, gzipped = _form(file)
    if form not in _SEPARATORS:
        return ""
    row = 0
    try:
        with gzip.open(file) if gzipped else file.open("rb") as raw:
            # Line by line: a text stream decodes ahead and would not know the row.
            lines = csv.reader(
                (line.decode("utf-8-sig") for line in raw),
                delimiter=_SEPARATORS[form],
                strict=True,
            )
            width = len(next(lines, []))
            if not width:
                return "it is empty: there is no line with the names of the columns."
            for row, fields in enumerate(lines, start=1):
                if len(fields) > width:
                    return (
                        f"row {row} has {len(fields)} fields, the header {width}. Is a field with "
                        "a comma not quoted?"
                    )
    except UnicodeDecodeError as error:
        return f"row {row + 1} is not UTF-8 ({error.reason}). Save it as UTF-8."
    except csv.Error as error:
        return f"row {row + 1} is not CSV: {error}."
    except (OSError, EOFError) as error:
        return f"after row {row}: {error}."
    return ""
