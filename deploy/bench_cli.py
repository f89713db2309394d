"""`endcap bench`: measurements, each with its baseline in the same run."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from endcap.deploy.bench_suite_cli import bench_all_command, bench_guard_command
from endcap.deploy.printed import Json, screen, show
from endcap.deploy.settings import load_settings

_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

app = typer.Typer(no_args_is_help=True, help="Measure, each with its baseline beside it.")
app.command("all")(bench_all_command)
app.command("guard")(bench_guard_command)


@app.command("rescore")
def bench_rescore_command(
    users: Annotated[int, typer.Option(help="Real shoppers to serve.", min=1)] = 2048,
    batch: Annotated[int, typer.Option(help="Shoppers a batch.", min=1)] = 128,
    repeats: Annotated[int, typer.Option(help="Turns of each part.", min=1)] = 7,
    provider: Annotated[
        str, typer.Option(help="cpu or cuda, of ours alone; refused where it would not be used.")
    ] = "cpu",
    torch: Annotated[bool, typer.Option(help="The eager model beside it (endcap[export]).")] = True,
    bundle: Annotated[Path | None, typer.Option(help="The model bundle's folder.")] = None,
    as_json: Json = False,
) -> None:
    """One core: candidates to scores beside the padded graph, torch, and the core's own limit.

    Example: endcap bench rescore --batch 64 --json
    """
    on_one_core()
    from endcap.bundle import load_bundle
    from endcap.deploy.bench.rescore import bench_rescore
    from endcap.deploy.progress import Bars
    from endcap.deploy.replay import load_shop, purchase_sessions

    model = load_bundle(load_settings(bundle=bundle).bundle)
    with Bars(screen) as bars:
        eager = None
        if torch:
            from endcap.export.from_graph import eager_of

            eager = eager_of(model)
        bars.say("Folding the shoppers' purchases")
        sessions = purchase_sessions(load_shop().history)
        found = bench_rescore(
            model,
            [sessions[at % len(sessions)] for at in range(users)],
            batch,
            repeats,
            eager,
            provider,
            lambda done, of: bars.advance("Turns", done, of),
        )
    show(found, as_json)


@app.command("catalogue")
def bench_catalogue_command(
    seconds: Annotated[float, typer.Option(help="Of load, for each size.", min=1)] = 20.0,
    noise: Annotated[float, typer.Option(help="How far made-up items lie apart.", min=0)] = 0.7,
    largest: Annotated[int, typer.Option(help="Leave larger sizes out.", min=1)] = 10_000_000,
    as_json: Json = False,
) -> None:
    """Ten thousand to ten million items at ETUDE's rates: latency, recall, memory; exact beside it.

    Example: endcap bench catalogue --largest 1000000 --json
    """
    from endcap.deploy.bench.catalogue import bench_catalogue
    from endcap.deploy.local_stack import default_cache_dir
    from endcap.deploy.progress import Bars

    settings = load_settings()
    cache_dir = settings.cache_dir or default_cache_dir().parent
    with Bars(screen) as bars:
        found = bench_catalogue(settings.bundle, cache_dir, seconds, noise, largest, bars)
    show(found, as_json)


@app.command("footprint")
def bench_footprint_command(
    baskets: Annotated[int | None, typer.Option(help="Replay only the first N.", min=1)] = None,
    rate: Annotated[float, typer.Option(help="Events a second to replay.", min=1)] = 1500.0,
    as_json: Json = False,
) -> None:
    """Memory and CPU of each process under the demo's load, Kafka and Valkey beside them.

    Example: endcap bench footprint --baskets 6000 --json
    """
    from endcap.deploy.bench.footprint import bench_footprint
    from endcap.deploy.progress import Bars

    with Bars(screen) as bars:
        found = bench_footprint(baskets, rate, load_settings().cache_dir, bars)
    show(found, as_json)


@app.command("sizes")
def bench_sizes_command(
    events: Annotated[int, typer.Option(help="To send through.", min=10_000)] = 400_000,
    as_json: Json = False,
) -> None:
    """Bytes in Kafka and Redis, and the trends app's CPU an event: what `endcap capacity` needs.

    Example: endcap bench sizes --json
    """
    from endcap.deploy.bench.sizes import bench_sizes
    from endcap.deploy.local_stack import LocalStack
    from endcap.deploy.progress import Bars

    cache_dir = load_settings().cache_dir
    with LocalStack(None, None, cache_dir) as stack, Bars(screen) as bars:
        found = bench_sizes(stack, events, bars)
    show(found, as_json)


@app.command("latency")
def bench_latency_command(
    rate: Annotated[float, typer.Option(help="Events a second.", min=1)] = 1000.0,
    seconds: Annotated[float, typer.Option(help="For so long, in each form.", min=1)] = 30.0,
    bundle: Annotated[Path | None, typer.Option(help="The model bundle's folder.")] = None,
    as_json: Json = False,
) -> None:
    """From an event to its list in Redis, beside what the way costs at least.

    Example: endcap bench latency --rate 1000 --seconds 30 --json
    """
    from endcap.deploy.bench.latency import bench_latency
    from endcap.deploy.progress import Bars

    with Bars(screen) as bars:
        found = bench_latency(load_settings(bundle=bundle), rate, seconds, bars)
    show(found, as_json)


@app.command("throughput")
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
        LocalStack(settings.given_broker, settings.store, settings.cache_dir) as stack,
        Bars(screen) as bars,
    ):
        found = bench_throughput(stack, events, turns, peers, bars)
    show(found, as_json)


@app.command("http")
def bench_http_command(
    rate: Annotated[float, typer.Option(help="Ready lists a second.", min=1)] = 1000,
    rescore_rate: Annotated[float, typer.Option(help="Lists a second on request.", min=1)] = 100,
    seconds: Annotated[float, typer.Option(help="Of each of the two.", min=1)] = 10,
    connections: Annotated[int, typer.Option(help="Kept alive.", min=1, max=512)] = 8,
    turns: Annotated[int, typer.Option(help="Turns of each highest rate.", min=1)] = 5,
    as_json: Json = False,
) -> None:
    """Ready lists over HTTP and straight from Redis, beside an endpoint that returns a constant.

    Example: endcap bench http --rate 1000 --json
    """
    from endcap.deploy.bench.http import Plan, bench_http
    from endcap.deploy.local_stack import LocalStack
    from endcap.deploy.progress import Bars

    settings = load_settings()
    plan = Plan(rate, rescore_rate, seconds, connections, turns)
    # Kafka and Redis of its own: it fills one of them, and measures the other.
    with LocalStack(None, None, settings.cache_dir) as stack, Bars(screen) as bars:
        found = bench_http(stack, settings, plan, bars)
    show(found, as_json)


@app.command("recovery")
def bench_recovery_command(
    sessions: Annotated[int, typer.Option(help="Sessions in the topic.", min=1000)] = 1_000_000,
    as_json: Json = False,
) -> None:
    """From kill -9 to the next event, with the local store and without it.

    Example: endcap bench recovery --sessions 200000 --json
    """
    from endcap.deploy.bench.recovery import bench_recovery
    from endcap.deploy.progress import Bars

    with Bars(screen) as bars:
        found = bench_recovery(load_settings().cache_dir, sessions, bars)
    show(found, as_json)


@app.command("faults")
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
    with Bars(screen) as bars:
        found = bench_faults(plan, load_settings().cache_dir, bars, seed)
    show(found, as_json)


@app.command("soak")
def bench_soak_command(
    minutes: Annotated[float, typer.Option(help="How long parts go on failing.", min=0.1)] = 20.0,
    seed: Annotated[int, typer.Option(help="Of the order of faults, and of the events.")] = 1,
    bundle: Annotated[Path | None, typer.Option(help="The model bundle's folder.")] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write the table into this page, between its marks.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A fault of the report; again for another.")
    ] = None,
    logs: Annotated[
        Path | None, typer.Option(help="A new folder in which the processes' logs stay.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold a load while broker, Redis, workers, rescorers and server are killed, frozen, cut off.

    Cutting wants Toxiproxy: `make soak` builds it. Ends with status 1 where anything is lost,
    doubled or wrong.

    Example: endcap bench soak --minutes 5 --json

    Example: endcap bench soak --minutes 2 --only "cut Kafka" --logs runs/cut
    """
    from endcap.deploy.bench.soak.faults import KINDS
    from endcap.deploy.bench.soak.page import is_sound, write_page
    from endcap.deploy.bench.soak.soak import soak
    from endcap.deploy.progress import Bars

    with Bars(screen) as bars:
        found = soak(load_settings(bundle=bundle), 60 * minutes, bars, seed, only or KINDS, logs)
    if page is not None:
        write_page(page, found)
    show(found, as_json)
    if not is_sound(found):
        raise typer.Exit(1)


@app.command("leader-moves")
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

    with Bars(screen) as bars:
        found = bench_leader_moves(moves, load_settings().cache_dir, bars, seed)
    show(found, as_json)


@app.command("words")
def bench_words_command(
    bundle: Annotated[Path | None, typer.Option(help="The model bundle's folder.")] = None,
    teacher: Annotated[bool, typer.Option(help="The transformer beside its student.")] = True,
    as_json: Json = False,
) -> None:
    """Do words find what a grocer has, and is it refused where he has nothing like it?

    Example: endcap bench words --no-teacher --json
    """
    from endcap.deploy.bench.words import bench_words

    show(bench_words(load_settings(bundle=bundle).bundle, teacher), as_json)


@app.command("cold-start")
def bench_cold_start_command(
    bundle: Annotated[Path | None, typer.Option(help="The bundle whose words are used.")] = None,
    share: Annotated[float, typer.Option(help="Of the items, hidden.", min=0.01, max=0.5)] = 0.1,
    seeds: Annotated[int, typer.Option(help="Turns, each with other items hidden.", min=1)] = 3,
    epochs: Annotated[int, typer.Option(help="Of a Transformer; 0: a quick SVD.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Items that no event has named, placed by text: HR@20 on Complete Journey.

    Example: endcap bench cold-start --seeds 1 --json
    """
    from endcap.deploy.bench.words import bench_cold_start
    from endcap.deploy.progress import Bars

    folder = load_settings(bundle=bundle).bundle
    with Bars(screen) as bars:
        found = bench_cold_start(folder, share, seeds, epochs, bars)
    show(found, as_json)


@app.command("watching")
def bench_watching_command(
    shoppers: Annotated[int, typer.Option(help="Lists to make, by each batch.", min=1)] = 400,
    bundle: Annotated[Path | None, typer.Option(help="The model bundle's folder.")] = None,
    as_json: Json = False,
) -> None:
    """What online quality, drift and the age of lists cost, beside making and reading lists.

    Example: endcap bench watching --json
    """
    on_one_core()
    from endcap.bundle import load_bundle
    from endcap.deploy.bench.watching import bench_watching
    from endcap.deploy.progress import Bars

    model = load_bundle(load_settings(bundle=bundle).bundle)
    with Bars(screen) as bars:
        found = bench_watching(model, shoppers, lambda done, of: bars.advance("Parts", done, of))
    show(found, as_json)


def on_one_core() -> None:
    """Start this command anew on one core with one thread: numpy counts its threads when it is
    loaded, and has been by now."""
    if all(os.environ.get(name) == value for name, value in _ONE_THREAD.items()):
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    ended = subprocess.run([sys.executable, *sys.argv], env=os.environ | _ONE_THREAD, check=False)
    raise typer.Exit(ended.returncode)
