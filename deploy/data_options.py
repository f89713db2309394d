"""The options that say what to read and how to divide it, for every command that takes a shop's
events."""

import functools
import inspect
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, NamedTuple

import typer

from endcap.counted import counted
from endcap.deploy.progress import Bars
from endcap.errors import EndcapError

if TYPE_CHECKING:
    from endcap.export.data.events_file import EventForm
    from endcap.export.data.interactions import DataSet, Split


class Source(NamedTuple):
    """What to read and how to divide it: each field is a parameter of the command line."""

    data: Annotated[
        Path,
        typer.Argument(
            help="An events file, a folder, or the word completejourney.", metavar="DATA"
        ),
    ]
    format_: Annotated[
        str,
        typer.Option("--format", help="events, sr-gnn, s3rec or completejourney.", metavar="NAME"),
    ] = "events"
    protocol: Annotated[
        str | None,
        typer.Option(help="time, next-item or leave-one-out; else what goes with the format."),
    ] = None
    column: Annotated[
        list[str] | None,
        typer.Option(help="user_id=visitorid; event_type==view: one value for all rows."),
    ] = None
    event_type: Annotated[
        list[str] | None, typer.Option(help="addtocart=add_to_cart; pdp=ignore.")
    ] = None
    items: Annotated[Path | None, typer.Option(help="A file of items with their titles.")] = None
    items_column: Annotated[
        list[str] | None, typer.Option(help="What --items calls ours: title=name; item_id=sku.")
    ] = None
    validation_from: Annotated[
        datetime | None, typer.Option(help="For time: where validation begins.")
    ] = None
    test_from: Annotated[
        datetime | None,
        typer.Option(help="For time: where the test begins."),
    ] = None


def reads_data(command: Callable[Concatenate[Source, ...], None]) -> Callable[..., None]:
    """The command with the fields of a `Source` as its parameters, instead of its first one.

    Those that must be given come before all others, as in any signature.
    """
    _, *own = inspect.signature(command).parameters.values()
    parameters = [*inspect.signature(Source).parameters.values(), *own]
    parameters.sort(key=lambda parameter: parameter.default is not parameter.empty)

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        source = Source(**{name: given.pop(name) for name in Source._fields})
        command(source, **given)

    # Typer asks `inspect`, which looks here first.
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return with_options


class Asked(NamedTuple):
    """A data set, divided; `form`: how its files were read."""

    data: "DataSet"
    split: "Split"
    form: "EventForm"


def read_data(source: Source, out: Path, bars: Bars) -> Asked:
    """Read and divide; what is larger than memory lies in `out` while it is in use.

    Raises:
        DataError: the data cannot be read, and where; or the format has no such protocol.
    """
    from endcap.export.data.events_file import EventForm
    from endcap.export.data.protocols import split
    from endcap.export.data.reading import cuts_at, protocol_for, read

    format_ = source.format_
    if str(source.data) == "completejourney" and not source.data.exists():
        format_ = "completejourney"
    form = EventForm(
        _pairs("--column", source.column),
        _pairs("--event-type", source.event_type),
        source.items,
        _pairs("--items-column", source.items_column),
    )
    if form.item_columns and form.items is None:
        raise EndcapError("--items-column speaks of a file of items: give it by --items FILE.")
    how = protocol_for(format_, source.protocol)
    data = read(source.data, format_, form, out / "data")
    parts = split(data, how, cuts_at(source.validation_from, source.test_from))
    bars.say(
        f"{data.name}: {counted(data.interactions.items.size, 'event')}, "
        f"{counted(len(data.items), 'item')}; {counted(parts.validation.size, 'question')} for "
        f"validation, {parts.test.size:,} for the test"
    )
    return Asked(data, parts, form)


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for each in given or []:
        name, equals, value = each.partition("=")
        if not (name and equals and value):
            raise EndcapError(f"{option} {each!r} is not of the form name=value.")
        pairs[name] = value
    return pairs
