"""The command line. Imports stay inside commands: `endcap --help` must not load ONNX Runtime."""

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from endcap import __version__
from endcap.deploy import (
    ask_cli,
    bench_cli,
    campaign_cli,
    capacity_cli,
    config_cli,
    experiment_cli,
    explain_cli,
    inputs_cli,
    intents_cli,
    keys_cli,
    letters_cli,
    models_cli,
    models_in_use_cli,
    price_cli,
    recommend_cli,
    rules_cli,
    segments_cli,
    smaller_cli,
    user_cli,
    words_cli,
)
from endcap.deploy.monitoring import cli as monitoring_cli
from endcap.deploy.printed import Json, screen, show
from endcap.deploy.settings import load_settings
from endcap.errors import EndcapError

if TYPE_CHECKING:
    from endcap.deploy.finding import Finding

MetricsPort = Annotated[int | None, typer.Option(help="Port of /metrics.")]
StartFrom = Annotated[
    str | None,
    typer.Option("--from", help="earliest, latest or 2026-11-24T06:00; for a new group."),
]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
topics_app = typer.Typer(no_args_is_help=True, help="The Kafka topics.")
app.add_typer(topics_app, name="topics")
app.add_typer(letters_cli.app, name="dead-letters")
app.add_typer(user_cli.app, name="user")
app.add_typer(keys_cli.app, name="keys")
app.add_typer(config_cli.app, name="config")
app.add_typer(intents_cli.app, name="intents")
app.add_typer(models_in_use_cli.app, name="models")
app.add_typer(experiment_cli.app, name="experiment")
app.add_typer(rules_cli.app, name="rules")
app.add_typer(price_cli.app, name="price")
app.add_typer(segments_cli.app, name="segments")
app.add_typer(campaign_cli.app, name="campaign")
app.command("explain")(explain_cli.explain)
app.command()(models_cli.train)
app.command()(models_cli.evaluate)
app.command()(inputs_cli.inputs)
app.command()(smaller_cli.quantise)
app.command()(smaller_cli.distil)
app.command()(smaller_cli.tune)
app.add_typer(bench_cli.app, name="bench")
app.command("recommend")(recommend_cli.recommend)
app.command("dashboards")(monitoring_cli.dashboards)
app.command("words")(words_cli.words)
app.command("ask")(ask_cli.ask)
app.command("capacity")(capacity_cli.capacity)


def main() -> None:
    """Run a command; an error of ours is one readable message and exit code 1."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        app()
    except EndcapError as error:
        _say_and_exit(error)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if not type(error).__module__.startswith("aiokafka"):
            raise
        from endcap.streams.refused_client import lacking_right

        if (said := lacking_right(error)) is None:
            raise
        _say_and_exit(said)


def _say_and_exit(error: EndcapError) -> NoReturn:
    screen.print("[bold red]endcap:[/bold red]", end=" ")
    screen.print(str(error), markup=False, highlight=False, soft_wrap=True)
    sys.exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it and end."),
    ] = False,
) -> None:
    """Real-time recommendations: Kafka in, an ONNX Transformer in the middle, Redis out."""


@app.command()
def version() -> None:
    """Print the version."""
    _print_version(True)


@app.command()
def demo(
    rate: Annotated[float, typer.Option(help="Events a second to replay.", min=1)] = 1500.0,
    baskets: Annotated[
        int | None, typer.Option(help="Replay only the first N baskets.", min=1)
    ] = None,
    exit_when_done: Annotated[
        bool, typer.Option("--exit-when-done", help="End after the replay.")
    ] = False,
    http_port: Annotated[
        int | None, typer.Option(help="The storefront's port; 0: any free one (default 8000).")
    ] = None,
    as_json: Json = False,
) -> None:
    """The whole thing on this machine: Kafka, Valkey, workers, storefront, real purchases.

    Example: endcap demo --exit-when-done --json
    """
    from endcap.deploy.demo import Demo
    from endcap.deploy.local_stack import exit_on_sigterm

    if as_json and not exit_when_done:
        raise EndcapError("--json prints when the demo ends; add --exit-when-done.")
    exit_on_sigterm()
    if exit_when_done and http_port is None:
        http_port = 0  # nobody will open the page; do not insist on a port
    settings = load_settings(http_port=http_port)
    result = Demo(settings, rate, baskets, exit_when_done, screen).run()
    if as_json:
        print(json.dumps(result))
    elif exit_when_done:
        screen.print_json(json.dumps(result))
    else:
        screen.print("Stopped; nothing is left running.")


@app.command()
def stream(
    metrics_port: MetricsPort = None,
    start_from: StartFrom = None,
    with_rescorer: Annotated[
        bool, typer.Option("--rescore", help="Lists too, one hop earlier, instead of rescore.")
    ] = False,
    bundle: Annotated[Path | None, typer.Option(help="The model bundle's folder.")] = None,
    fold_for: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """The session worker: events to sessions; with --rescore to lists in Redis.

    Example: ENDCAP_KAFKA_BOOTSTRAP_SERVERS=broker:9092 endcap stream --metrics-port 9101

    Example: endcap stream --rescore --bundle bundles/spring --metrics-port 9101
    """
    from endcap.deploy.joined_process import run_fold_for, run_stream_and_rescore
    from endcap.deploy.observed import observe
    from endcap.deploy.processes import run_stream

    settings = load_settings(metrics_port=metrics_port, start_from=start_from, bundle=bundle)
    observe(settings, "stream")
    if fold_for:
        run_fold_for(settings, fold_for)
    else:
        (run_stream_and_rescore if with_rescorer else run_stream)(settings)


@app.command()
def rebuild(
    generation: Annotated[int, typer.Option(help="Of the new sessions; 2 the first time.", min=2)],
    as_json: Json = False,
) -> None:
    """Fold all raw events anew, beside the running workers, until nothing is left to fold.

    Then set generation in endcap.toml, and start stream, trends, rescore and serve anew.

    Example: endcap rebuild --generation 2
    """
    from endcap.deploy.progress import Bars
    from endcap.deploy.rebuild import rebuild_sessions

    settings = load_settings(generation=generation)
    with Bars(screen) as bars:
        found = asyncio.run(rebuild_sessions(settings, bars))
    show(found, as_json)
    screen.print(
        f"Now set generation = {generation} (endcap.toml, or ENDCAP_GENERATION), and start stream, "
        "trends, rescore and serve anew. Afterwards: endcap topics delete-generation "
        f"{generation - 1}"
    )


@app.command()
def ingest(
    metrics_port: MetricsPort = None,
    start_from: StartFrom = None,
) -> None:
    """Other systems' topics (the sources of endcap.toml) into events, each record once.

    Example: endcap ingest --metrics-port 9104
    """
    from endcap.deploy.observed import observe
    from endcap.deploy.processes import run_ingest

    settings = load_settings(metrics_port=metrics_port, start_from=start_from)
    observe(settings, "ingest")
    run_ingest(settings)


@app.command()
def trends(
    metrics_port: MetricsPort = None,
) -> None:
    """The item side (Faust): catalogue and trending windows.

    Example: endcap trends --metrics-port 9103
    """
    from endcap.deploy.observed import observe
    from endcap.deploy.processes import run_item_side

    settings = load_settings(metrics_port=metrics_port)
    observe(settings, "trends")
    run_item_side(settings)


@app.command()
def rescore(
    metrics_port: MetricsPort = None,
    bundle: Annotated[Path | None, typer.Option(help="The model bundle's folder.")] = None,
) -> None:
    """The rescorer: sessions to lists in Redis.

    Example: endcap rescore --bundle bundles/spring --metrics-port 9102
    """
    from endcap.deploy.observed import observe
    from endcap.deploy.processes import run_rescore

    settings = load_settings(metrics_port=metrics_port, bundle=bundle)
    observe(settings, "rescore")
    run_rescore(settings)


@app.command()
def serve(
    http_port: Annotated[int | None, typer.Option(help="The port (default 8000).")] = None,
) -> None:
    """HTTP and the storefront.

    Example: endcap serve --http-port 8080
    """
    from endcap.deploy.observed import observe
    from endcap.deploy.serve_process import run_serve

    settings = load_settings(http_port=http_port)
    observe(settings, "serve")
    run_serve(settings)


@topics_app.command("create")
def create() -> None:
    """Create the topics that are missing.

    Example: ENDCAP_PARTITIONS=8 endcap topics create
    """
    from endcap.streams.clients import create_topics

    settings = load_settings()
    created = asyncio.run(
        create_topics(
            settings.broker,
            settings.topics,
            settings.partitions,
            settings.replication,
            settings.events_retention_days,
            settings.kept_days,
        )
    )
    screen.print("Created: " + ", ".join(created) if created else "All topics are there.")


@topics_app.command("acls")
def acls(
    user: Annotated[list[str] | None, typer.Option(help="PROCESS=USER; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Print what each process may do on the broker, as lines of Kafka's kafka-acls.sh.

    Without --user each process has a user of its own, endcap-stream and so on.

    Example: endcap topics acls --user stream=shop-stream --user rescore=shop-rescore
    """
    from endcap.deploy.kafka_rights import command_lines, rights

    settings = load_settings()
    known = rights(settings)
    users = {process: f"endcap-{process}" for process in known}
    if user:
        users = dict(each.partition("=")[::2] for each in user)
    if wrong := [process for process, name in users.items() if process not in known or not name]:
        raise EndcapError(
            f"There is no process {wrong[0]}. Write PROCESS=USER, of {', '.join(known)}."
        )
    if as_json:
        rows = {process: [each._asdict() for each in known[process]] for process in users}
        print(json.dumps(rows))
        return
    for line in command_lines(settings, users):
        print(line)


@topics_app.command("delete-generation")
def delete_generation(
    generation: Annotated[int, typer.Argument(help="One that no process uses any more.", min=1)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete the sessions, handovers, item deltas and dead letters of a generation.

    Example: endcap topics delete-generation 1
    """
    from endcap.deploy.rebuild import delete_topics_of

    settings = load_settings()
    if generation == settings.generation:
        raise EndcapError(f"Generation {generation} is the one in use; set another first.")
    if not yes and not typer.confirm(f"Delete the topics of generation {generation}?", err=True):
        raise EndcapError("Nothing was deleted.")
    gone = asyncio.run(delete_topics_of(settings, generation))
    screen.print("Deleted: " + ", ".join(gone) if gone else "There are no such topics.")


@app.command()
def doctor(
    url: Annotated[
        str | None, typer.Option(help="Of HTTP: look from outside alone, as a page comes.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="A file with a reader's API key, where keys are on.")
    ] = None,
    max_lag: Annotated[int, typer.Option(help="Records that may wait.", min=0)] = 10_000,
    as_json: Json = False,
) -> None:
    """Check what endcap stands on and how it is deployed; each finding ends with what to do.

    Example: endcap doctor --json

    Example: endcap doctor --url https://shop.example
    """
    findings = _examined(url, key_file, max_lag)
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings]))
    else:
        for finding in findings:
            mark = "[green]ok[/green]" if finding.ok else "[red]no[/red]"
            screen.print(f"{mark}  {finding.part}: {finding.says}", soft_wrap=True)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


def _examined(url: str | None, key_file: Path | None, max_lag: int) -> "list[Finding]":
    if url is None:
        from endcap.deploy.doctor import examine

        return asyncio.run(examine(load_settings(), max_lag))
    from endcap.deploy.doctor_deployment import examine_door

    try:
        key = key_file.read_text().strip() if key_file else None
    except OSError as error:
        raise EndcapError(f"{key_file} cannot be read: {error.strerror}. Name another.") from error
    return examine_door(url, key)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="CSV with a header, or JSON lines; .gz too.")],
    adapter: Annotated[str, typer.Option(help="native, segment, rees46, or your own.")] = "native",
    rate: Annotated[float | None, typer.Option(help="Events a second.", min=1)] = None,
    skip: Annotated[int, typer.Option(help="Rows to skip: where an earlier run ended.")] = 0,
    as_json: Json = False,
) -> None:
    """The rows of a file into the events topic; a bad row becomes a dead letter.

    Example: endcap replay 2019-Oct.csv.gz --adapter rees46 --rate 2000
    """
    from endcap.deploy.adapters import find_adapter, under_pseudonyms
    from endcap.deploy.file_replay import read_rows, replay_file
    from endcap.deploy.progress import Bars

    settings = load_settings()
    found = find_adapter(adapter, settings.adapters)
    total = sum(1 for _ in read_rows(file))
    with Bars(screen) as bars:
        sums = asyncio.run(
            replay_file(
                file,
                found.decode,
                under_pseudonyms(found.adapt, settings.naming),
                settings.broker,
                settings.topics,
                rate,
                skip,
                lambda rows: bars.advance("Rows", rows, total),
            )
        )
        bars.advance("Rows", total, total)
    show(sums, as_json)


if __name__ == "__main__":
    main()
