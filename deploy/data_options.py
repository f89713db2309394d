"""The options that say what to read and how to divide it, for every command that takes a shop's
events."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from endcap.deploy.progress import Bars
from endcap.errors import EndcapError

if TYPE_CHECKING:
    from endcap.export.data.interactions import DataSet, Split

Data = Annotated[
    Path,
    typer.Argument(help="An events file, a folder, or the word completejourney.", metavar="DATA"),
]
Format = Annotated[
    str, typer.Option("--format", help="events, sr-gnn, s3rec or completejourney.", metavar="NAME")
]
Protocol = Annotated[
    str | None,
    typer.Option(help="time, next-item or leave-one-out; else what goes with the format."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--column", help="user_id=visitorid; event_type==view: one value for all rows."),
]
EventTypes = Annotated[
    list[str] | None, typer.Option("--event-type", help="addtocart=add_to_cart; pdp=ignore.")
]
Items = Annotated[Path | None, typer.Option("--items", help="A file of items with their titles.")]
ValidationFrom = Annotated[datetime | None, typer.Option(help="For time: where validation begins.")]
TestFrom = Annotated[datetime | None, typer.Option(help="For time: where the test begins.")]


class Source(NamedTuple):
    """What to read and how to divide it."""

    path: Path
    format_: str
    protocol: str | None
    columns: list[str] | None
    event_types: list[str] | None
    items: Path | None
    validation_from: datetime | None
    test_from: datetime | None


class Asked(NamedTuple):
    """A data set, divided."""

    data: "DataSet"
    split: "Split"


def read_data(source: Source, out: Path, bars: Bars) -> Asked:
    """Read and divide; what is larger than memory lies in `out` while it is in use.

    Raises:
        DataError: the data cannot be read, and where; or the format has no such protocol.
    """
    from endcap.export.data.events_file import EventForm
    from endcap.export.data.protocols import split
    from endcap.export.data.reading import cuts_at, protocol_for, read

    format_ = source.format_
    if str(source.path) == "completejourney" and not source.path.exists():
        format_ = "completejourney"
    form = EventForm(
        _pairs("--column", source.columns),
        _pairs("--event-type", source.event_types),
        source.items,
    )
    how = protocol_for(format_, source.protocol)
    data = read(source.path, format_, form, out / "data")
    parts = split(data, how, cuts_at(source.validation_from, source.test_from))
    bars.say(
        f"{data.name}: {data.interactions.items.size:,} events, {len(data.items):,} items; "
        f"{parts.validation.size:,} questions for validation, {parts.test.size:,} for the test"
    )
    return Asked(data, parts)


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for each in given or []:
        name, equals, value = each.partition("=")
        if not (name and equals and value):
            raise EndcapError(f"{option} {each!r} is not of the form name=value.")
        pairs[name] = value
    return pairs
