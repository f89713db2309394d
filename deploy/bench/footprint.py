"""What each process of the demo takes: memory, cores, CPU time for a thousand events."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from endcap.deploy.bench.source_footprint import source_footprint
from endcap.deploy.bench.watched import EVERY_S, Seen
from endcap.deploy.progress import Bars
from endcap.errors import EndcapError

ROLES = ("stream", "trends", "rescore", "serve", "segments follow")


def bench_footprint(
    baskets: int | None, rate: float, cache_dir: Path | None, bars: Bars
) -> dict[str, Any]:
    """Run `endcap demo --exit-when-done` and watch its processes twice a second; then the same
    events from a source, for the two processes that such a demo does not start.

    Of each process: `rss_mib` (peak of resident memory), `anonymous_mib` (of it, what the kernel
    cannot take back), `cores_5s` (the busiest five seconds), `cpu_s` from start to end, and
    `cpu_ms_per_1000_events`, over all events of the import and the replay. Kafka and Valkey stand
    beside endcap's own: they are what the processes are compared with. `from_a_source`: of `ingest`
    and `segments follow`, with `stream` beside them (`source_footprint`).

    Raises:
        EndcapError: the demo failed.
    """
    words = ["demo", "--exit-when-done", "--json", "--rate", str(rate)]
    if baskets is not None:
        words += ["--baskets", str(baskets)]
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "endcap.deploy.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as demo:
        seen: dict[int, Seen] = {}
        names: dict[int, str] = {}
        while demo.poll() is None:
            for process in _descendants(demo.pid):
                if process.pid not in names and (name := _role(process)):
                    names[process.pid] = name
                    seen[process.pid] = Seen(process)
                    bars.say(f"Watching {name}")
            for each in seen.values():
                each.sample()
            time.sleep(EVERY_S)
        printed = demo.stdout.read() if demo.stdout else ""
    if demo.returncode != 0:
        raise EndcapError("The demo failed; run `endcap demo` to see why.")
    result = json.loads(printed)
    return {
        "seconds": round(time.monotonic() - began, 1),
        "events": result["events_in"],
        "lists": result["lists_written"],
        "rate_asked": rate,
        "processes": {
            names[pid]: each.figures(result["events_in"])
            for pid, each in sorted(seen.items(), key=lambda item: names[item[0]])
        },
        "latency_ms": result["latency_ms"],
        "from_a_source": source_footprint(baskets, rate, cache_dir, bars),
    }


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _role(process: psutil.Process) -> str:
    """Empty for what is not one of the parts, as the launcher that watches over each."""
    try:
        words = process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""
    if any(Path(word).name == "launcher.py" for word in words):
        return ""
    if "kafka.Kafka" in words:
        return "kafka"
    if words and Path(words[0]).name.startswith("valkey-server"):
        return "valkey"
    if "endcap.deploy.cli" not in words:
        return ""
    said = " ".join(words[words.index("endcap.deploy.cli") + 1 :])
    return next((role for role in ROLES if said.startswith(role)), "")
