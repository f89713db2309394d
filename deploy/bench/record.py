"""What a benchmark found, with what it takes to judge it: command, machine, date, state of the
code."""

import hashlib
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import psutil

from endcap.errors import EndcapError

_HERE = Path(__file__).parent
_BUSY = ("user", "nice", "system", "irq", "softirq", "steal")
_NOT_CODE = ":(top,exclude)docs"


class Machine(msgspec.Struct, frozen=True):
    """What of a machine decides a figure; nothing that says which one it is."""

    cores: int
    cpu: str
    memory_gib: float


class Record(msgspec.Struct, frozen=True):
    """One benchmark's result.

    `found`: what the command prints with `--json`. `code`: the commit, and a digest of what
    is changed beside it. `others`: how many cores all other processes took meanwhile, in the mean:
    near 0 on a machine that does nothing else.
    """

    benchmark: str
    command: str
    date: str
    machine: Machine
    others: float
    code: str
    found: dict[str, Any]


def this_machine() -> Machine:
    """The cores this process may use, the processor's name, the memory of all."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory().total / (1 << 30)
    return Machine(cores or 1, _cpu_name(), round(memory, 1))


def others_cpu_s() -> float:
    """CPU seconds since the start of the machine of all but this process and its children that have
    ended; what a difference of two says is of what ran between them."""
    spent = psutil.cpu_times()
    busy = sum(getattr(spent, name, 0.0) for name in _BUSY)
    own = os.times()
    return busy - own.user - own.system - own.children_user - own.children_system


def today() -> str:
    """In UTC, as 2026-11-27."""
    return datetime.now(UTC).date().isoformat()


def code_state() -> str:
    """The commit's first 12 digits, `+` and a digest where tracked files beside docs/ are changed;
    the version of an installed package, which has no commit."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("diff", "HEAD", "--", ":/", _NOT_CODE)
    except (OSError, subprocess.CalledProcessError):
        return f"endcap {version('endcap')}"
    return commit + (f"+{hashlib.sha256(changed.encode()).hexdigest()[:8]}" if changed else "")


def record_path(folder: Path, benchmark: str) -> Path:
    """Where a benchmark's record lies."""
    return folder / f"{benchmark}.json"


def write_record(folder: Path, record: Record) -> None:
    """Write it, for people too; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    encoded = msgspec.json.format(msgspec.json.encode(record), indent=1)
    record_path(folder, record.benchmark).write_bytes(encoded + b"\n")


def read_record(folder: Path, benchmark: str) -> Record | None:
    """What lies there; None where there is nothing.

    Raises:
        EndcapError: it is no record.
    """
    path = record_path(folder, benchmark)
    return decode_record(path.read_bytes(), str(path)) if path.exists() else None


def decode_record(encoded: bytes, where: str) -> Record:
    """A record's bytes; `where` they are from is named in the error.

    Raises:
        EndcapError: it is no record.
    """
    try:
        return msgspec.json.decode(encoded, type=Record)
    except msgspec.DecodeError as error:
        raise EndcapError(
            f"{where} is no benchmark's record ({error}). Remove it; `endcap bench all` writes it."
        ) from error


def _git(*arguments: str) -> str:
    ended = subprocess.run(
        ["git", *arguments], cwd=_HERE, check=True, capture_output=True, text=True
    )
    return ended.stdout.strip()


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return " ".join(value.split())
    return platform.processor() or platform.machine()
