"""The command line. Imports stay inside commands: `endcap --help` must not load ONNX Runtime."""

import asyncio
import json
import logging
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from endcap import __version__
from endcap.deploy import user_cli
from endcap.deploy.settings import load_settings
from endcap.errors import EndcapError

if TYPE_CHECKING:
    from endcap.streams.dead_letters import Letter

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
topics_app = typer.Typer(no_args_is_help=True, help="The Kafka topics.")
train_app = typer.Typer(no_args_is_help=True, help="Train a model and write its bundle.")
app.add_typer(topics_app, name="topics")
letters_app = typer.Typer(no_args_is_help=True, help="Events that could not be folded.")
bench_app = typer.Typer(no_args_is_help=True, help="Measure, each with its baseline beside it.")
app.add_typer(letters_app, name="dead-letters")
app.add_typer(user_cli.app, name="user")
app.add_typer(train_app, name="train")
app.add_typer(bench_app, name="bench")

_screen = Console(stderr=True)
Reason = Annotated[str | None, typer.Option(help="Only this reason, such as late.")]
Source = Annotated[str | None, typer.Option(help="Only from this topic (or file).")]
Since = Annotated[datetime | None, typer.Option(help="Only those written since.")]
Until = Annotated[datetime | None, typer.Option(help="Only those written before.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]


def main() -> None:
    """Run a command; an error of ours is one readable message and exit code 1."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        app()
    except EndcapError as error:
        _screen.print("[bold red]endcap:[/bold red]", end=" ")
        _screen.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


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
    result = Demo(settings, rate, baskets, exit_when_done, _screen).run()
    if as_json:
        print(json.dumps(result))
    elif exit_when_done:
        _screen.print_json(json.dumps(result))
    else:
        _screen.print("Stopped; nothing is left running.")


@app.command()
def stream(
    metrics_port: Annotated[int | None, typer.Option(help="Port of /metrics.")] = None,
    start_from: Annotated[
        str | None,
        typer.Option("--from", help="earliest, latest or 2026-11-24T06:00; for a new group."),
    ] = None,
) -> None:
    """The session worker: events to sessions.

    Example: ENDCAP_KAFKA_BOOTSTRAP_SERVERS=broker:9092 endcap stream --metrics-port 9101
    """
    from endcap.deploy.processes import run_stream

    run_stream(load_settings(metrics_port=metrics_port, start_from=start_from))


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
    with Bars(_screen) as bars:
        found = asyncio.run(rebuild_sessions(settings, bars))
    _show(found, as_json)
    _screen.print(
        f"Now set generation = {generation} (endcap.toml, or ENDCAP_GENERATION), and start stream, "
        "trends, rescore and serve anew. Afterwards: endcap topics delete-generation "
        f"{generation - 1}"
    )


@app.command()
def ingest(
    metrics_port: Annotated[int | None, typer.Option(help="Port of /metrics.")] = None,
    start_from: Annotated[
        str | None,
        typer.Option("--from", help="earliest, latest or 2026-11-24T06:00; for a new group."),
    ] = None,
) -> None:
    """Other systems' topics into the events topic, each record once: [sources] of endcap.toml.

    Example: endcap ingest --metrics-port 9104
    """
    from endcap.deploy.processes import run_ingest

    run_ingest(load_settings(metrics_port=metrics_port, start_from=start_from))


@app.command()
def trends(
    metrics_port: Annotated[int | None, typer.Option(help="Port of /metrics.")] = None,
) -> None:
    """The item side (Faust): catalogue and trending windows.

    Example: endcap trends --metrics-port 9103
    """
    from endcap.deploy.processes import run_item_side

    run_item_side(load_settings(metrics_port=metrics_port))


@app.command()
def rescore(
    metrics_port: Annotated[int | None, typer.Option(help="Port of /metrics.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="The model bundle's folder.")] = None,
) -> None:
    """The rescorer: sessions to lists in Redis.

    Example: endcap rescore --bundle bundles/spring --metrics-port 9102
    """
    from endcap.deploy.processes import run_rescore

    run_rescore(load_settings(metrics_port=metrics_port, bundle=bundle))


@app.command()
def serve(
    http_port: Annotated[int | None, typer.Option(help="The port (default 8000).")] = None,
) -> None:
    """HTTP and the storefront.

    Example: endcap serve --http-port 8080
    """
    from endcap.deploy.processes import run_serve

    run_serve(load_settings(http_port=http_port))


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
        )
    )
    _screen.print("Created: " + ", ".join(created) if created else "All topics are there.")


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
    _screen.print("Deleted: " + ", ".join(gone) if gone else "There are no such topics.")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check the broker, Redis, the bundle, the provider and the sources, and say what to do."""
    from endcap.deploy.doctor import examine

    findings = asyncio.run(examine(load_settings()))
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings]))
    else:
        for finding in findings:
            mark = "[green]ok[/green]" if finding.ok else "[red]no[/red]"
            _screen.print(f"{mark}  {finding.part}: {finding.says}")
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


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
    from endcap.deploy.adapters import find_adapter
    from endcap.deploy.file_replay import read_rows, replay_file
    from endcap.deploy.progress import Bars

    settings = load_settings()
    found = find_adapter(adapter, settings.adapters)
    total = sum(1 for _ in read_rows(file))
    with Bars(_screen) as bars:
        sums = asyncio.run(
            replay_file(
                file,
                found.decode,
                found.adapt,
                settings.broker,
                settings.topics,
                rate,
                skip,
                lambda rows: bars.advance("Rows", rows, total),
            )
        )
        bars.advance("Rows", total, total)
    _show(sums, as_json)


@letters_app.command("list")
def list_letters(
    reason: Reason = None,
    source: Source = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1)] = 50,
    replayed: Annotated[bool, typer.Option("--all", help="Those that went back too.")] = False,
    as_json: Json = False,
) -> None:
    """What could not be folded, and why.

    Example: endcap dead-letters list --reason late --since 2026-11-24
    """
    from collections import Counter

    from rich.table import Table

    letters = [
        letter
        for letter in _read_letters(reason, source, since, until)
        if replayed or not letter.replayed
    ]
    by_reason = dict(Counter(letter.reason for letter in letters).most_common())
    newest = letters[-limit:]
    if as_json:
        rows = [
            {
                "letter": x.name,
                "at_ms": x.at_ms,
                "reason": x.reason,
                "message": x.message,
                "topic": x.source_topic,
                "partition": x.source_partition,
                "offset": x.source_offset,
                "replayed": x.replayed,
            }
            for x in newest
        ]
        print(json.dumps({"letters": len(letters), "by_reason": by_reason, "newest": rows}))
        return
    table = Table("letter", "reason", "from", "message", title=f"{len(letters)} dead letters")
    for x in newest:
        table.add_row(
            x.name, x.reason, f"{x.source_topic}/{x.source_partition}@{x.source_offset}", x.message
        )
    _screen.print(table)
    _screen.print(", ".join(f"{name}: {times}" for name, times in by_reason.items()))


@letters_app.command("show")
def show_letter(
    letter: Annotated[str, typer.Argument(help="Its name in the list: PARTITION:OFFSET.")],
) -> None:
    """One letter, whole: reason, headers, and the value as it came.

    Example: endcap dead-letters show 0:17
    """
    for found in _read_letters(None, None, None, None):
        if found.name == letter:
            _screen.print(f"[bold]{found.reason}[/bold]", highlight=False)
            _screen.print(found.message, markup=False, highlight=False)
            for name, value in found.headers:
                _screen.print(f"{name}: {value!r}", markup=False, highlight=False)
            _screen.print(f"key: {found.key!r}", markup=False, highlight=False)
            print((found.value or b"").decode(errors="replace"))
            return
    raise EndcapError(f"There is no dead letter {letter}. `endcap dead-letters list` names them.")


@letters_app.command("replay")
def replay_dead_letters(
    letters: Annotated[list[str] | None, typer.Argument(help="PARTITION:OFFSET ...")] = None,
    reason: Reason = None,
    source: Source = None,
    since: Since = None,
    until: Until = None,
    to: Annotated[str | None, typer.Option(help="Another topic than where it came from.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many, send none.")] = False,
    as_json: Json = False,
) -> None:
    """Send letters back to where they came from, each once: after the cause is mended.

    Example: endcap dead-letters replay --reason late --dry-run
    """
    from endcap.streams.dead_letters import replay_letters

    if not (letters or reason or source or since or until):
        raise EndcapError(
            "Say which: PARTITION:OFFSET, --reason, --source, --since or --until. Example: "
            "endcap dead-letters replay --reason future"
        )
    settings = load_settings()
    found = [
        letter
        for letter in _read_letters(reason, source, since, until, frozenset(letters or ()))
        if not letter.replayed
    ]
    if not dry_run:
        asyncio.run(replay_letters(settings.broker, settings.topics, found, to))
    _show({"replayed": 0 if dry_run else len(found), "matched": len(found)}, as_json)


def _read_letters(
    reason: str | None,
    source: str | None,
    since: datetime | None,
    until: datetime | None,
    names: frozenset[str] = frozenset(),
) -> "list[Letter]":
    from endcap.streams.dead_letters import Wanted, read_letters

    settings = load_settings()
    wanted = Wanted(reason, source, since, until, names)
    every = asyncio.run(read_letters(settings.broker, settings.topics))
    return [letter for letter in every if wanted.takes(letter)]


@train_app.command()
def completejourney(
    out: Annotated[Path, typer.Option(help="The bundle's folder.")] = Path("runs/completejourney"),
    epochs: Annotated[int, typer.Option(help="Passes over the training weeks.", min=1)] = 3,
    seed: Annotated[int, typer.Option(help="The random seed.")] = 7,
    as_json: Json = False,
) -> None:
    """Complete Journey: prepare, train, export, evaluate, write the bundle.

    Example: endcap train completejourney --epochs 3 --out runs/mine
    """
    try:
        from endcap.export.train_completejourney import train_completejourney
    except ImportError as error:
        raise EndcapError(
            f"Training needs the export extra ({error.name} is missing): "
            "pip install 'endcap[export,demo]'."
        ) from error
    from endcap.deploy.progress import Bars

    with Bars(_screen) as bars:
        manifest = train_completejourney(out, epochs, seed, bars)
    _show_metrics(manifest.metrics, as_json)


@bench_app.command("rescore")
def bench_rescore_command(
    users: Annotated[int, typer.Option(help="Real shoppers to serve.", min=1)] = 1024,
    batch: Annotated[int, typer.Option(help="Shoppers a call of the graph.", min=1)] = 32,
    repeats: Annotated[int, typer.Option(help="Turns of each part.", min=1)] = 7,
    as_json: Json = False,
) -> None:
    """Session to list, beside the graph's calls alone, on Complete Journey's shoppers.

    Example: endcap bench rescore --batch 64 --json
    """
    from endcap.bundle import load_bundle
    from endcap.deploy.bench.rescore import bench_rescore
    from endcap.deploy.progress import Bars
    from endcap.deploy.replay import load_shop, purchase_sessions
    from endcap.serving.onnx_session import OnnxScorer

    settings = load_settings()
    bundle = load_bundle(settings.bundle)
    scorer = OnnxScorer(bundle, settings.provider, settings.inference_threads)
    with Bars(_screen) as bars:
        bars.say("Folding the shoppers' purchases")
        sessions = purchase_sessions(load_shop().history)[:users]
        found = bench_rescore(
            bundle,
            scorer,
            sessions,
            batch,
            repeats,
            lambda done, of: bars.advance("Turns", done, of),
        )
    _show(found, as_json)


@bench_app.command("throughput")
def bench_throughput_command(
    events: Annotated[int, typer.Option(help="Events to work through.", min=10_000)] = 400_000,
    turns: Annotated[int, typer.Option(help="Turns of each part.", min=1)] = 3,
    peers: Annotated[bool, typer.Option(help="Faust and Quix Streams too.")] = True,
    as_json: Json = False,
) -> None:
    """One session worker on one core: JSON in, snapshots out, offsets committed.

    Example: endcap bench throughput --no-peers --json
    """
    from endcap.deploy.bench.throughput import bench_throughput
    from endcap.deploy.local_stack import LocalStack
    from endcap.deploy.progress import Bars

    settings = load_settings()
    with (
        LocalStack(settings.kafka_bootstrap_servers, settings.store, settings.cache_dir) as stack,
        Bars(_screen) as bars,
    ):
        found = bench_throughput(stack, events, turns, peers, bars)
    _show(found, as_json)


@bench_app.command("recovery")
def bench_recovery_command(
    sessions: Annotated[int, typer.Option(help="Sessions in the topic.", min=1000)] = 1_000_000,
    as_json: Json = False,
) -> None:
    """From kill -9 to the next event, with the local store and without it.

    Example: endcap bench recovery --sessions 200000 --json
    """
    from endcap.deploy.bench.recovery import bench_recovery
    from endcap.deploy.progress import Bars

    with Bars(_screen) as bars:
        found = bench_recovery(load_settings().cache_dir, sessions, bars)
    _show(found, as_json)


@bench_app.command("faults")
def bench_faults_command(
    scale: Annotated[float, typer.Option(help="Times the usual 64 faults.", min=0.05)] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the order of faults, and of the events.")] = 1,
    as_json: Json = False,
) -> None:
    """Kill, freeze, rebalance, repeat; then compare every session with the plain fold.

    Example: endcap bench faults --scale 0.25 --json
    """
    from endcap.deploy.bench.faults import DEFAULT_PLAN, bench_faults
    from endcap.deploy.progress import Bars

    plan = {kind: max(1, round(times * scale)) for kind, times in DEFAULT_PLAN.items()}
    with Bars(_screen) as bars:
        found = bench_faults(plan, load_settings().cache_dir, bars, seed)
    _show(found, as_json)


@bench_app.command("leader-moves")
def bench_leader_moves_command(
    moves: Annotated[int, typer.Option(help="Brokers killed, one after the other.", min=1)] = 6,
    seed: Annotated[int, typer.Option(help="Of the events.")] = 1,
    as_json: Json = False,
) -> None:
    """Kill one broker of three after the other; compare every session with the plain fold.

    Example: endcap bench leader-moves --moves 2 --json
    """
    from endcap.deploy.bench.leader_moves import bench_leader_moves
    from endcap.deploy.progress import Bars

    with Bars(_screen) as bars:
        found = bench_leader_moves(moves, load_settings().cache_dir, bars, seed)
    _show(found, as_json)


def _show(found: object, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found))
    else:
        _screen.print_json(json.dumps(found))


def _show_metrics(metrics: dict[str, dict[str, float]], as_json: bool) -> None:
    from rich.table import Table

    if as_json:
        print(json.dumps(metrics))
        return
    ranked = {name: row for name, row in metrics.items() if "hr_at_10" in row}
    table = Table("ranker", *next(iter(ranked.values())), title="Held-out weeks")
    for name, row in ranked.items():
        table.add_row(name, *(f"{value:.4f}" for value in row.values()))
    _screen.print(table)


if __name__ == "__main__":
    main()
