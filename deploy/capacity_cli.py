"""`endcap capacity`: how many of what for a load, checked by a simulation."""

from typing import Annotated, Any

import typer
from rich.table import Table

from endcap.deploy.printed import Json, screen, show
from endcap.errors import EndcapError


def capacity(
    events_per_second: Annotated[
        float, typer.Option(help="At the busiest minute of the day.", min=1)
    ] = 50_000,
    users: Annotated[float, typer.Option(help="Shoppers whose session is kept.", min=1)] = 20e6,
    items: Annotated[float, typer.Option(help="Of the catalogue.", min=1)] = 2e6,
    lists_per_event: Annotated[
        float, typer.Option(help="1: each event makes a list.", min=0.001, max=1)
    ] = 1.0,
    weekly_share: Annotated[
        float, typer.Option(help="Of the users, those seen in seven days.", min=0, max=1)
    ] = 0.3,
    reads_per_event: Annotated[float, typer.Option(help="Lists read by HTTP.", min=0)] = 0.5,
    peak_to_mean: Annotated[float, typer.Option(help="For disk and network.", min=1)] = 3.0,
    retention_days: Annotated[float, typer.Option(help="Of raw events.", min=1)] = 30.0,
    replication: Annotated[int, typer.Option(help="Of every topic.", min=1, max=9)] = 3,
    utilisation: Annotated[
        float, typer.Option(help="How full a core may be at the peak.", min=0.05, max=0.95)
    ] = 0.6,
    core_hour: Annotated[float, typer.Option(help="Price of a core for an hour.", min=0)] = 0.04,
    gib_hour: Annotated[float, typer.Option(help="Of a GiB of memory, an hour.", min=0)] = 0.005,
    disk_gib_month: Annotated[float, typer.Option(help="Of a GiB of disk, a month.", min=0)] = 0.08,
    network_gib: Annotated[float, typer.Option(help="Of a GiB between zones.", min=0)] = 0.01,
    simulate_s: Annotated[
        float, typer.Option("--simulate", help="Seconds to simulate; 0: not at all.", min=0)
    ] = 4.0,
    constants: Annotated[
        bool, typer.Option("--constants", help="Print what was measured, and by what.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Partitions, workers, memory, network and cost of a load, and where it ends.

    Example: endcap capacity --events-per-second 50000 --users 20e6 --items 2e6

    Example: endcap capacity --events-per-second 1500000 --lists-per-event 0.2 --json

    Example: endcap capacity --constants
    """
    from endcap.deploy.capacity.constants import MEASURED
    from endcap.deploy.capacity.sizing import Load, Prices, plan

    if constants:
        table = {name: each._asdict() for name, each in MEASURED._asdict().items()}
        show(table, as_json) if as_json else _print_constants(table)
        return
    load = Load(
        events_per_second,
        users,
        items,
        lists_per_event,
        weekly_share,
        reads_per_event,
        peak_to_mean,
        retention_days,
        replication,
        utilisation,
    )
    sized = plan(load, Prices(core_hour, gib_hour, disk_gib_month, network_gib))
    found = sized.as_json()
    if simulate_s:
        found["simulation"] = _simulated(sized, simulate_s)
    show(found, as_json) if as_json else _print(found)


def _simulated(sized: Any, seconds: float) -> dict[str, Any]:
    """At the load, and at 1.1 times where the first and the second bottleneck are full."""
    try:
        from endcap.deploy.capacity.simulation import Simulation, queues_of
    except ImportError as error:
        raise EndcapError(
            "The simulation needs simpy: pip install 'endcap[capacity]', or give --simulate 0."
        ) from error

    rates = [("at_the_load", sized.load.events_per_second)]
    queued = [each for each in sized.resources if each.name in {"trends", "rescore", "stream"}]
    for name, each in zip(("beyond_the_first", "beyond_the_second"), queued, strict=False):
        rates.append((name, 1.1 * each.full_at))
    return {
        name: Simulation(queues_of(sized, rate)).run(seconds, min(1.0, seconds))
        for name, rate in rates
    }


def _print_constants(table: dict[str, dict[str, Any]]) -> None:
    shown = Table("constant", "value", "unit", "command", "what")
    for name, each in table.items():
        shown.add_row(name, f"{each['value']:,}", each["unit"], each["source"], each["says"])
    screen.print(shown)


def _print(found: dict[str, Any]) -> None:
    counts = Table("what", "how many", title="To carry it")
    for name, value in found.items():
        if isinstance(value, int):
            counts.add_row(name.replace("_", " "), f"{value:,}")
    screen.print(counts)
    for name in ("cores", "memory_gib", "disk_gib", "network_mib_s_at_peak", "cost_per_month"):
        table = Table("of", name.replace("_", " "))
        for part, value in found[name].items():
            table.add_row(part, f"{value:,}")
        screen.print(table)
    full = Table("what is full", "at events/s", "times the load", "then")
    for each in found["bottlenecks"]:
        rate, times = each["full_at_events_per_second"], each["times_the_load"]
        full.add_row(f"{each['units']} {each['what']}", f"{rate:,}", str(times), each["then"])
    screen.print(full)
    if "simulation" in found:
        _print_simulation(found["simulation"])


def _print_simulation(found: dict[str, Any]) -> None:
    table = Table("simulated", "events/s", "event to list p50 / p99, ms", "waiting", "grows by /s")
    for name, run in found.items():
        latency, waits = run["latency_ms"], run["queueing_ms"]
        growing = {k: v for k, v in run["backlog_growth_per_s"].items() if v > 1}
        table.add_row(
            name.replace("_", " "),
            f"{run['events_per_second']:,}",
            f"{latency.get('p50')} / {latency.get('p99')}",
            f"{waits.get('p50')} / {waits.get('p99')}",
            ", ".join(f"{k} {v:,.0f}" for k, v in growing.items()) or "nothing",
        )
    screen.print(table)
