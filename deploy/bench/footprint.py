"""What each process of the demo takes: memory, cores, CPU time for a thousand events."""

import json
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from endcap.deploy.progress import Bars
from endcap.errors import EndcapError

_EVERY_S = 0.5
_WINDOW = 10
"""Samples, that is five seconds: what a request of CPU has to cover, not a moment's spike."""
_MIB = 1 << 20
ROLES = ("stream", "trends", "rescore", "serve", "segments follow")


@dataclass
class Seen:
    """One process, as it was sampled."""

    process: psutil.Process
    rss_mib: float = 0.0
    anonymous_mib: float = 0.0
    cpu_s: float = 0.0
    cores_5s: float = 0.0
    moments: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_WINDOW))

    def sample(self) -> None:
        """Raise the peaks; a process that has ended keeps what was last seen."""
        try:
            memory, cpu = self.process.memory_info(), self.process.cpu_times()
        except psutil.NoSuchProcess:
            return
        self.rss_mib = max(self.rss_mib, memory.rss / _MIB)
        self.anonymous_mib = max(self.anonymous_mib, (memory.rss - memory.shared) / _MIB)
        self.cpu_s = cpu.user + cpu.system
        self.moments.append((time.monotonic(), self.cpu_s))
        if len(self.moments) == _WINDOW:
            (began, before), (ended, after) = self.moments[0], self.moments[-1]
            self.cores_5s = max(self.cores_5s, (after - before) / (ended - began))


def bench_footprint(baskets: int | None, rate: float, bars: Bars) -> dict[str, Any]:
    """Run `endcap demo --exit-when-done` and watch its processes twice a second.

    Of each process: `rss_mib` (peak of resident memory), `anonymous_mib` (of it, what the kernel
    cannot take back), `cores_5s` (the busiest five seconds), `cpu_s` from start to end, and
    `cpu_ms_per_1000_events`, over all events of the import and the replay. Kafka and Valkey stand
    beside endcap's own: they are what the processes are compared with.

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
            time.sleep(_EVERY_S)
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
            names[pid]: {
                "rss_mib": round(each.rss_mib),
                "anonymous_mib": round(each.anonymous_mib),
                "cores_5s": round(each.cores_5s, 2),
                "cpu_s": round(each.cpu_s, 1),
                "cpu_ms_per_1000_events": round(1e6 * each.cpu_s / result["events_in"], 1),
            }
            for pid, each in sorted(seen.items(), key=lambda item: names[item[0]])
        },
        "latency_ms": result["latency_ms"],
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
