"""Events a second of one session worker on one core, beside its floor and its peers."""

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from endcap.deploy.bench.workload import send_clickstream
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.progress import Bars
from endcap.errors import EndcapError
from endcap.streams.clients import create_topics
from endcap.topics import topics_with_prefix

PARTITIONS = 4
FAUST_EVENTS = 4_000
"""Its Table does a few hundred events a second: all of them would take the afternoon."""
QUIX_EVENTS = 100_000
QUIX = "quixstreams==3.28.1"
WAYS = ("transactions", "unfenced", "fold_only")
_ROLES = Path(__file__).parent / "roles"
_ROLE_TIMEOUT_S = 300.0


def bench_throughput(
    stack: LocalStack, events: int, turns: int, peers: bool, bars: Bars
) -> dict[str, Any]:
    """Fill a topic, then let each part work through it in turns, pinned to one core.

    The broker, where it was started here, keeps to the other cores. Rates are medians of the
    turns by wall clock, from the moment a process has its partitions until the last event is
    committed; `by_cpu` says the same by CPU seconds, which a busy machine disturbs less. `peers`:
    Faust and Quix Streams too, each in one turn.
    """
    topic = asyncio.run(_fill(stack.bootstrap_servers, events, bars))
    core = _reserve_a_core(stack)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ("read_only", *WAYS)}
    for turn in range(turns):
        for done, (name, found) in enumerate(runs.items()):
            bars.advance("Turns", turn * len(runs) + done, turns * len(runs))
            arguments = {"events": events}
            if name == "read_only":
                found.append(_role(stack, topic, [*_ours(name)], core, arguments))
            else:
                found.append(
                    _role(stack, topic, [*_ours("worker")], core, {"way": name, **arguments})
                )
    bars.advance("Turns", 1, 1)
    if peers:
        runs |= _peers(stack, topic, events, core, bars)
    rates = {name: _rate(found, "seconds") for name, found in runs.items()}
    by_cpu = {name: _rate(found, "cpu_s") for name, found in runs.items()}
    ours = rates["transactions"]
    return {
        "events_per_s": round(ours),
        "read_only_per_s": round(rates["read_only"]),
        "ratio_to_read_only": round(ours / rates["read_only"], 3),
        "ratio_to_faust_table": _ratio(ours, rates.get("faust_table")),
        "ratio_to_quixstreams": _ratio(ours, rates.get("quixstreams")),
        "per_s": {name: round(rate) for name, rate in rates.items()},
        "by_cpu": {
            "per_s": {name: round(rate) for name, rate in by_cpu.items()},
            "ratio_to_read_only": round(by_cpu["transactions"] / by_cpu["read_only"], 3),
        },
        "spread_per_s": {
            name: sorted(round(r["events"] / r["seconds"]) for r in found)
            for name, found in runs.items()
        },
        "events": events,
        "native_events": int(runs["transactions"][-1]["native_events"]),
        "snapshots": int(runs["transactions"][-1]["snapshots"]),
        "turns": turns,
        "pinned_to_core": core,
    }


def _peers(
    stack: LocalStack, topic: str, events: int, core: int | None, bars: Bars
) -> dict[str, list[dict[str, float]]]:
    folder = Path(tempfile.mkdtemp(prefix="endcap-bench-"))
    try:
        bars.say("Faust's Table")
        few = min(events, FAUST_EVENTS)
        faust = _role(
            stack,
            topic,
            [*_ours("faust_table")],
            core,
            {"events": few, "partitions": PARTITIONS, "folder": str(folder)},
        )
        bars.say("Quix Streams")
        quix = _role(
            stack,
            topic,
            [str(_quix_python(bars)), str(_ROLES / "quixstreams_state.py")],
            core,
            {"events": min(events, QUIX_EVENTS), "folder": str(folder / "quix")},
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"faust_table": [faust], "quixstreams": [quix]}


async def _fill(bootstrap: str, events: int, bars: Bars) -> str:
    topics = topics_with_prefix(f"bench-{uuid4().hex[:8]}")
    await create_topics(bootstrap, topics, PARTITIONS)
    await send_clickstream(bootstrap, topics.events, events, bars)
    return topics.events.name


def _role(
    stack: LocalStack,
    topic: str,
    command: list[str],
    core: int | None,
    arguments: Mapping[str, Any],
) -> dict[str, float]:
    """Run one role in a process of its own, with topics and a group of its own."""
    group = f"bench-{uuid4().hex[:8]}"
    bootstrap = stack.bootstrap_servers
    if "way" in arguments:
        asyncio.run(create_topics(bootstrap, topics_with_prefix(group), PARTITIONS))
    asked = {"bootstrap": bootstrap, "topic": topic, "group": group, **arguments}
    process = subprocess.Popen(
        [*command, json.dumps(asked)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if core is not None:
        psutil.Process(process.pid).cpu_affinity([core])
    try:
        said, complaints = process.communicate(timeout=_ROLE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise EndcapError(
            f"{command[-1]} had not finished after {_ROLE_TIMEOUT_S:.0f} s."
        ) from None
    if process.returncode:
        raise EndcapError(f"{' '.join(command)} failed:\n{complaints[-2000:]}")
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def _ours(role: str) -> Iterable[str]:
    return (sys.executable, "-m", f"endcap.deploy.bench.roles.{role}")


def _reserve_a_core(stack: LocalStack) -> int | None:
    """One core for the worker, the others for a broker that was started here."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return cores[0]
    for pid in stack.pids.values():
        server = psutil.Process(pid)
        for process in (server, *server.children(recursive=True)):
            for thread in process.threads():
                os.sched_setaffinity(thread.id, cores[1:])
    return cores[0]


def _quix_python(bars: Bars) -> Path:
    """Its pydantic is older than ours: it gets an environment of its own, kept between runs."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "endcap" / "bench"
    venv = folder / QUIX.replace("==", "-")
    finished = venv / ".installed"
    if not finished.exists():
        bars.say(f"Installing {QUIX} into an environment of its own, the first time only")
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run(
            [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", QUIX],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        finished.touch()
    return venv / "bin" / "python"


def _rate(found: list[dict[str, float]], by: str) -> float:
    return statistics.median(run["events"] / run[by] for run in found)


def _ratio(ours: float, theirs: float | None) -> float | None:
    return None if theirs is None else round(ours / theirs, 2)
