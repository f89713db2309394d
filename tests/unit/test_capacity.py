"""`endcap capacity`: its sums, and the simulation that checks them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from endcap.deploy.capacity.constants import MEASURED
from endcap.deploy.capacity.simulation import Queues, Simulation, queues_of
from endcap.deploy.capacity.sizing import Load, Prices, plan
from endcap.deploy.cli import app

SMALL = Load(events_per_second=3_000, users=1e6, items=10_000)


def test_no_core_is_fuller_at_the_peak_than_was_asked_for() -> None:
    sized = plan(SMALL)
    for each in sized.resources:
        assert SMALL.events_per_second <= SMALL.utilisation * each.full_at, each.name


def test_partitions_go_evenly_into_each_group_and_leave_room_to_double() -> None:
    for events in (100, 3_000, 50_000, 1_500_000):
        sized = plan(replace(SMALL, events_per_second=events))
        for members in (sized.stream_workers, sized.rescorers):
            assert sized.partitions % members == 0 or members > 12
            assert sized.partitions >= 2 * members
        assert sized.partitions % sized.rescorers == 0


def test_the_bill_follows_the_prices() -> None:
    dear = plan(SMALL, Prices(core_hour=0.08)).cost_per_month
    usual = plan(SMALL, Prices(core_hour=0.04)).cost_per_month
    assert dear["cores"] == pytest.approx(2 * usual["cores"])
    assert usual["all"] == pytest.approx(sum(v for k, v in usual.items() if k != "all"))


def test_each_constant_names_the_command_that_prints_it() -> None:
    for name, each in MEASURED._asdict().items():
        assert each.value > 0, name
        assert each.source.startswith("endcap bench "), name
        words = each.source.split()
        shown = CliRunner().invoke(app, [*words[1:3], "--help"])
        assert shown.exit_code == 0, each.source


def one_server(rate: float, service_s: float) -> Queues:
    """A queue with one server that takes one at a time, and nothing else that takes time."""
    steps = ["fold_batch_s", "score_batch_s", "read_s", "produce_s", "hand_over_s", "write_s"]
    nothing = dict.fromkeys(steps, 0.0)
    nothing |= {"fold_s": 1e-9, "trends_s": 1e-9, "redis_s": 1e-9}
    return Queues(
        events_per_second=rate,
        lists_per_event=1.0,
        partitions=1,
        stream_workers=1,
        rescorers=1,
        redis_shards=1,
        score_s=service_s,
        batch_bound=1,
        **nothing,
    )


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_a_single_server_waits_as_pollaczek_and_khinchine_say(load: float) -> None:
    """M/D/1: the mean wait is load / (2 (1 - load)) services (Kleinrock, Queueing Systems I, 5)."""
    service_s = 0.01
    simulation = Simulation(one_server(load / service_s, service_s), seed=3)
    simulation.run(seconds=300.0, warm_up_s=10.0)
    waited = float(np.mean(np.concatenate(simulation.waits)))
    assert waited == pytest.approx(service_s * load / (2 * (1 - load)), rel=0.08)


def test_the_simulation_carries_the_planned_load_and_not_a_tenth_more_than_is_full() -> None:
    sized = plan(SMALL)
    first = next(each for each in sized.resources if each.name in {"rescore", "trends"})
    planned = Simulation(queues_of(sized)).run(seconds=2.0)
    beyond = Simulation(queues_of(sized, 1.1 * first.full_at)).run(seconds=2.0)
    assert planned["backlog_growth_per_s"][first.name] < 0.01 * SMALL.events_per_second
    assert beyond["backlog_growth_per_s"][first.name] > 0.05 * first.full_at
    assert beyond["latency_ms"]["p99"] > 3 * planned["latency_ms"]["p99"]


def test_the_same_seed_gives_the_same_figures() -> None:
    queues = queues_of(plan(SMALL))
    assert Simulation(queues, 5).run(0.3, 0.1) == Simulation(queues, 5).run(0.3, 0.1)


def test_the_command_prints_one_object_with_the_first_bottleneck_first() -> None:
    words = ["capacity", "--events-per-second", "3000", "--users", "1e6", "--items", "10000"]
    ended = CliRunner().invoke(app, [*words, "--simulate", "0.2", "--json"])
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    full = [each["full_at_events_per_second"] for each in found["bottlenecks"]]
    assert full == sorted(full)
    assert set(found["simulation"]) == {"at_the_load", "beyond_the_first", "beyond_the_second"}
