"""`endcap train` and `endcap evaluate`: any shop's events, or a set that the field knows."""

import json
import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from endcap.deploy.printed import Json, screen
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
Seed = Annotated[int, typer.Option(help="The same seed gives the same model on a CPU.")]
Epochs = Annotated[int | None, typer.Option(help="At most; else by the size of the data.", min=1)]


class _Source(NamedTuple):
    """The options of both commands that say what to read and how to divide it."""

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


def train(
    data: Data,
    format_: Format = "events",
    protocol: Protocol = None,
    column: Columns = None,
    event_type: EventTypes = None,
    items: Items = None,
    validation_from: ValidationFrom = None,
    test_from: TestFrom = None,
    out: Annotated[Path, typer.Option(help="The bundle's folder.")] = Path("runs/model"),
    epochs: Epochs = None,
    neighbours: Annotated[
        int | None, typer.Option(help="Kept of each item; fewer make a smaller bundle.", min=1)
    ] = None,
    sessions: Annotated[
        int | None, typer.Option(help="Newest ones kept; fewer make a smaller bundle.", min=1)
    ] = None,
    seed: Seed = 7,
    as_json: Json = False,
) -> None:
    """Train on a shop's events, export, and write the bundle.

    Interrupted, it goes on where it stopped when it is called again with the same --out.

    Examples:
      endcap train events.parquet --out runs/spring
      endcap train clicks.csv.gz --column user_id=visitorid --column timestamp=ts
      endcap train completejourney
    """
    needed = _export()
    with Bars(screen) as bars:
        asked = _read(
            _Source(data, format_, protocol, column, event_type, items, validation_from, test_from),
            out,
            bars,
        )
        options = needed.options_for(
            asked.split.train,
            len(asked.data.items),
            needed.Wishes(seed, epochs, neighbours, sessions),
        )
        trained = needed.train(asked.data, asked.split, options, out, _command(), bars)
    metrics = trained.bundle.manifest.metrics
    if as_json:
        print(json.dumps({"bundle": str(out), "metrics": metrics["endcap"]}))
    else:
        _show(metrics)
        screen.print(f"The bundle lies in {out}; serve it with: endcap rescore --bundle {out}")


def evaluate(
    data: Data,
    format_: Format = "events",
    protocol: Protocol = None,
    column: Columns = None,
    event_type: EventTypes = None,
    items: Items = None,
    validation_from: ValidationFrom = None,
    test_from: TestFrom = None,
    bundle: Annotated[Path | None, typer.Option(help="Evaluate this one; else train.")] = None,
    out: Annotated[Path, typer.Option(help="Where the trained bundle is kept.")] = Path(
        "runs/model"
    ),
    opponents: Annotated[
        str, typer.Option(help="all, none, or names with commas: vmis-knn,sasrec.")
    ] = "all",
    trials: Annotated[
        int, typer.Option(help="Of an opponent's options; a tenth where it trains.", min=1)
    ] = 40,
    report: Annotated[
        Path | None, typer.Option(help="A folder for the page and the JSON behind it.")
    ] = None,
    published: Annotated[
        str | None, typer.Option(help="diginetica or beauty: published figures beside ours.")
    ] = None,
    impressions: Annotated[
        Path | None, typer.Option(help="What was shown and clicked: what endcap would have got.")
    ] = None,
    epochs: Epochs = None,
    seed: Seed = 7,
    as_json: Json = False,
) -> None:
    """A table: endcap beside tuned opponents, on questions that nobody has seen.

    Examples:
      endcap evaluate events.parquet --report out
      endcap evaluate shared/data/amazon_beauty --format s3rec --published beauty --json
      endcap evaluate events.parquet --bundle runs/spring --opponents vmis-knn
    """
    needed = _export()
    figures = needed.published_of(published) if published else ()
    names = needed.opponent_names(opponents)
    with Bars(screen) as bars:
        asked = _read(
            _Source(data, format_, protocol, column, event_type, items, validation_from, test_from),
            out,
            bars,
        )
        learned = None
        if bundle is None:
            options = needed.options_for(
                asked.split.train, len(asked.data.items), needed.Wishes(seed, epochs)
            )
            loaded, learned = needed.train(asked.data, asked.split, options, out, _command(), bars)
        else:
            loaded = needed.load_bundle(bundle)
        found = needed.evaluate(
            needed.Evaluation(
                asked.data, asked.split, loaded, learned, names, trials, seed, _command(), figures
            ),
            impressions,
            bars,
        )
    if report is not None:
        screen.print(f"Report: {needed.write_report(report, found)}")
    if as_json:
        print(needed.as_json(found))
    else:
        _show({"endcap": found.metrics} | found.opponents)
        for warning in found.warnings:
            screen.print(f"[yellow]warning:[/yellow] {warning}")


def _export() -> Any:
    try:
        from endcap.export import commands
    except ImportError as error:
        raise EndcapError(
            f"Training and evaluation need the export extra ({error.name} is missing): "
            "pip install 'endcap[export,cpu]'."
        ) from error
    return commands


def _read(source: _Source, out: Path, bars: Bars) -> Asked:
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


def _command() -> str:
    return shlex.join(["endcap", *sys.argv[1:]])


_SHOWN = ("hr_at_10", "hr_at_20", "ndcg_at_10", "mrr_at_20", "coverage")


def _show(rankers: dict[str, dict[str, float]]) -> None:
    from rich.table import Table

    rows = {name: row for name, row in rankers.items() if "hr_at_10" in row}
    shown = [key for key in _SHOWN if key in next(iter(rows.values()))]
    table = Table("ranker", *shown, title="On the test's questions")
    for name, row in rows.items():
        table.add_row(name, *(f"{row[key]:.4f}" for key in shown))
    screen.print(table)
