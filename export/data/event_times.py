"""A column of times, in whatever unit it is, as Unix milliseconds."""

from typing import NamedTuple

import polars as pl

_UNITS = (
    (0.0, 1e11, "Unix seconds", 1000.0),
    (1e11, 1e14, "Unix milliseconds", 1.0),
    (1e14, 1e17, "Unix microseconds", 1e-3),
    (1e17, 1e20, "Unix nanoseconds", 1e-6),
)
"""From, up to, name, milliseconds in one: 1e11 s are the year 5138, 1e11 ms 1973."""

_UTC = "where no zone is given, UTC"

_SAMPLE = 1000

_FIRST_DAY, _LAST_DAY = 19_700_101, 21_001_231
"""As seconds these would be some days of August 1970."""


class TimeColumn(NamedTuple):
    """How to read the column: null where a value is no time of this kind."""

    milliseconds: pl.Expr
    kind: str


def time_column(frame: pl.LazyFrame, name: str) -> TimeColumn:
    """Decide for the column by its first thousand values: the most of them, and their median.

    A number that is not of the column's unit becomes null, as does what lies before 1970.
    """
    kind = frame.collect_schema()[name]
    column = pl.col(name)
    if isinstance(kind, pl.Datetime):
        return TimeColumn(_from_1970(column.dt.epoch("ms")), f"times of Parquet; {_UTC}")
    if kind == pl.Date:
        days = column.cast(pl.Datetime("ms")).dt.epoch("ms")
        return TimeColumn(_from_1970(days), "dates of Parquet, UTC")
    sample = frame.select(column).drop_nulls().head(_SAMPLE).collect(engine="streaming")[name]
    numbers = sample.cast(pl.Float64, strict=False).drop_nulls()
    if kind == pl.String and numbers.len() * 2 <= sample.len():
        return TimeColumn(_from_1970(_iso(column)), f"ISO 8601 text; {_UTC}")
    return _unix(column, numbers)


def _unix(column: pl.Expr, sample: pl.Series) -> TimeColumn:
    middle = float(sample.quantile(0.5, "nearest") or 0.0)
    if _FIRST_DAY <= middle <= _LAST_DAY:
        day = column.cast(pl.Int64, strict=False).cast(pl.String)
        days = day.str.to_datetime("%Y%m%d", time_unit="ms", strict=False).dt.epoch("ms")
        return TimeColumn(_from_1970(days), "days as YYYYMMDD, UTC")
    fitting = [unit for unit in _UNITS if unit[0] <= middle < unit[1]]
    lower, upper, name, factor = (fitting or _UNITS)[0]
    number = column.cast(pl.Float64, strict=False)
    milliseconds = (number * factor).round().cast(pl.Int64, strict=False)
    return TimeColumn(pl.when((number >= lower) & (number < upper)).then(milliseconds), name)


def _from_1970(milliseconds: pl.Expr) -> pl.Expr:
    return pl.when(milliseconds >= 0).then(milliseconds)


def _iso(column: pl.Expr) -> pl.Expr:
    text = column.str.strip_chars().str.replace(r"(?i)\s*(utc|gmt|z)$", "")
    zone = text.str.extract_groups(r"\d:\d\d(?::\d\d(?:[.,]\d+)?)?\s*([+-])(\d\d):?(\d\d)?$")
    minutes = zone.struct[1].cast(pl.Int64) * 60 + zone.struct[2].cast(pl.Int64).fill_null(0)
    offset = pl.when(zone.struct[0] == "-").then(-minutes).otherwise(minutes).fill_null(0)
    plain = (
        text.str.replace(r"(\d:\d\d(?::\d\d(?:[.,]\d+)?)?)\s*[+-]\d\d:?(?:\d\d)?$", "$1")
        .str.replace(r"^(\d{4}-\d\d-\d\d)[Tt ]\s*", "$1 ")
        .str.replace(",", ".", literal=True)
    )
    local = pl.coalesce(
        plain.str.to_datetime(form, time_unit="ms", strict=False)
        for form in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
    )
    return local.dt.epoch("ms") - offset * 60_000
