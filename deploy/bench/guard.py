"""What a change made worse, told by ratios alone: a slower machine slows both sides of one."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from endcap.deploy.bench.record import Record, decode_record, read_record, record_path
from endcap.errors import EndcapError


class Ratio(NamedTuple):
    """`grows`: more is better. `slack`: the share by which it may be worse and still pass."""

    grows: bool
    slack: float


SLACK = 0.2
RATIOS: Mapping[str, Ratio] = {
    "ratio_to_padded": Ratio(grows=True, slack=SLACK),
    "ratio_to_torch": Ratio(grows=True, slack=SLACK),
    "fraction_of_flop_limit": Ratio(grows=True, slack=SLACK),
    "p50_ratio_to_floor": Ratio(grows=False, slack=SLACK),
    "p99_ratio_to_floor": Ratio(grows=False, slack=SLACK),
    "ready_ratio_to_empty": Ratio(grows=True, slack=SLACK),
    # A property of the index and not of the hour: it does not move by itself.
    "recall_to_exact": Ratio(grows=True, slack=0.02),
}


class Guarded(NamedTuple):
    """Sentences: what is worse; what had nothing to be compared with."""

    worse: Sequence[str]
    not_compared: Sequence[str]


def guard(folder: Path, names: Sequence[str], since: str) -> Guarded:
    """The records in a folder beside those of the same folder at a git revision."""
    worse: list[str] = []
    not_compared: list[str] = []
    for name in names:
        before, now = committed_record(folder, name, since), read_record(folder, name)
        if before is None:
            not_compared.append(f"{name}: {since} has no result, so nothing is compared.")
        elif now is None:
            worse.append(f"{name}: its result is gone. `endcap bench all --only {name}` writes it.")
        else:
            worse += regressions(before, now)
    return Guarded(worse, not_compared)


def regressions(before: Record, now: Record) -> list[str]:
    """A sentence for each ratio that is worse than before by more than its slack, or is gone.

    Ratios count at the top of a benchmark's result, and in its rows by their number of items.
    """
    if before.command != now.command:
        return [
            f"{now.benchmark} cannot be compared: it was `{before.command}` and is "
            f"`{now.command}`. Run the first again."
        ]
    found = dict(_ratios(now.found))
    said = []
    for where, was in _ratios(before.found):
        ratio = RATIOS[where.key]
        look = f"Look closer with `{now.command}`."
        if where not in found:
            said.append(f"{now.benchmark}: {where} was {was:g} and is not measured now. {look}")
        elif _is_worse(ratio, was, found[where]):
            way = "fell" if ratio.grows else "rose"
            said.append(
                f"{now.benchmark}: {where} {way} from {was:g} to {found[where]:g}, more than the "
                f"{ratio.slack:.0%} allowed. {look}"
            )
    return said


def committed_record(folder: Path, benchmark: str, revision: str) -> Record | None:
    """The record as it is at a revision; None where it is not.

    Raises:
        EndcapError: the folder is in no git repository, or the revision is unknown.
    """
    where = f"{revision}:./{record_path(Path(), benchmark)}"
    known = _git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if known.returncode:
        raise EndcapError(
            f"{folder} is in no git repository that knows {revision}: nothing to compare with."
        )
    shown = _git(folder, "show", where)
    return None if shown.returncode else decode_record(shown.stdout, where)


class _Where(NamedTuple):
    key: str
    items: int

    def __str__(self) -> str:
        return self.key + (f" at {self.items:,} items" if self.items else "")


def _ratios(found: Mapping[str, Any]) -> Iterator[tuple[_Where, float]]:
    for part, items in ((found, 0), *((row, row["items"]) for row in found.get("rows", ()))):
        for key in RATIOS:
            if isinstance(part.get(key), int | float):
                yield _Where(key, items), part[key]


def _is_worse(ratio: Ratio, was: float, now: float) -> bool:
    return now < was * (1 - ratio.slack) if ratio.grows else now > was * (1 + ratio.slack)


def _git(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    if not folder.is_dir():
        raise EndcapError(f"There is no folder {folder}. `endcap bench all` writes it.")
    return subprocess.run(["git", *arguments], cwd=folder, check=False, capture_output=True)
