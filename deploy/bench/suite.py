"""The four benchmarks one after the other: results, tables and pictures written as each ends."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from endcap.deploy.bench.marked_page import with_part
from endcap.deploy.bench.plots import pictures_of
from endcap.deploy.bench.record import (
    Machine,
    Record,
    code_state,
    others_cpu_s,
    read_record,
    this_machine,
    today,
    write_record,
)
from endcap.deploy.bench.tables import table_of
from endcap.errors import EndcapError

Say = Callable[[str], None]

BENCHMARKS: Mapping[str, Sequence[str]] = {
    "rescore": (),
    "latency": ("--rate", "1000", "--seconds", "30"),
    "catalogue": (),
    "http": ("--rate", "1000"),
}
"""The options with which each is measured for the page."""

QUICK: Mapping[str, Sequence[str]] = {
    "rescore": ("--users", "64", "--batch", "32", "--repeats", "1"),
    "latency": ("--rate", "50", "--seconds", "2"),
    "catalogue": ("--seconds", "1", "--largest", "10000"),
    "http": ("--rate", "50", "--rescore-rate", "5", "--seconds", "2", "--turns", "1"),
}
"""Options with which each only shows that it runs."""


class Task(NamedTuple):
    """A benchmark and its options."""

    name: str
    options: Sequence[str]

    @property
    def command(self) -> str:
        """As one types it."""
        return " ".join(("endcap bench", self.name, *self.options, "--json"))


class Outcome(NamedTuple):
    """Names of the benchmarks: measured now, kept from before, failed."""

    measured: Sequence[str]
    kept: Sequence[str]
    failed: Sequence[str]


def chosen(names: str, options: Mapping[str, Sequence[str]]) -> list[Task]:
    """The tasks that a list of names with commas means, in their usual order; empty: all.

    Raises:
        EndcapError: there is no such benchmark.
    """
    wanted = {name.strip() for name in names.split(",") if name.strip()} or set(BENCHMARKS)
    if unknown := sorted(wanted - set(BENCHMARKS)):
        raise EndcapError(
            f"There is no benchmark {', '.join(unknown)} here, only {', '.join(BENCHMARKS)}."
        )
    return [Task(name, options[name]) for name in BENCHMARKS if name in wanted]


def measure_all(
    tasks: Sequence[Task], folder: Path, page: Path | None, again: bool, say: Say
) -> Outcome:
    """Run each in a process of its own, and write what it found before the next begins.

    1. See that the page has a place for each, before hours are spent.
    2. Keep what this code has already found on this machine by this command, unless `again`.
    3. Else measure; one that fails stops none of the others.
    4. Write the record, its picture, its tables in the page.
    """
    if page is not None:
        _check_places(page, [task.name for task in tasks])
    code, machine = code_state(), this_machine()
    measured, kept, failed = [], [], []
    for number, task in enumerate(tasks, 1):
        record = None if again else _kept(folder, task, code, machine)
        step = f"{number} of {len(tasks)}: {task.command}"
        if record is not None:
            say(f"{step}: kept from {record.date}; --again measures anew")
            kept.append(task.name)
        else:
            say(step)
            record = _measured(task, code, machine, say)
            if record is None:
                failed.append(task.name)
                continue
            write_record(folder, record)
            measured.append(task.name)
        publish(record, folder, page)
    return Outcome(measured, kept, failed)


def publish(record: Record, folder: Path, page: Path | None) -> None:
    """Draw a record's picture beside it and write its tables into the page."""
    for name, drawn in pictures_of(record).items():
        (folder / name).write_text(drawn + "\n", encoding="utf-8")
    if page is not None:
        pictures = Path(os.path.relpath(folder, page.parent)).as_posix()
        text = page.read_text(encoding="utf-8")
        written = with_part(text, record.benchmark, table_of(record, pictures))
        page.write_text(written, encoding="utf-8")


def _check_places(page: Path, names: Sequence[str]) -> None:
    if not page.exists():
        raise EndcapError(f"There is no page {page}. Name yours with --page.")
    for name in names:
        with_part(page.read_text(encoding="utf-8"), name, "")


def _kept(folder: Path, task: Task, code: str, machine: Machine) -> Record | None:
    found = read_record(folder, task.name)
    if found is None or (found.command, found.code, found.machine) != (task.command, code, machine):
        return None
    return found


def _measured(task: Task, code: str, machine: Machine, say: Say) -> Record | None:
    begun, others = time.monotonic(), others_cpu_s()
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "endcap.deploy.cli"),
            *("bench", task.name, *task.options, "--json"),
        ],
        check=False,
        stdout=subprocess.PIPE,
    )
    if ended.returncode:
        say(f"{task.name} ended with status {ended.returncode}; what it said stands above")
        return None
    others = max(0.0, others_cpu_s() - others) / (time.monotonic() - begun)
    found = msgspec.json.decode(ended.stdout, type=dict)
    return Record(task.name, task.command, today(), machine, round(others, 2), code, found)
