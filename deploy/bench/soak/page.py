"""What a soak found, as a part of docs/reliability.md."""

from pathlib import Path
from typing import Any

from endcap.deploy.bench.marked_page import with_part
from endcap.deploy.bench.record import code_state, this_machine, today

_ZERO = ("lost", "doubled", "out_of_order", "deltas_lost", "deltas_doubled", "reads_failed")


def is_sound(found: dict[str, Any]) -> bool:
    """Nothing lost, doubled, in another order, unanswered, and no list wrong."""
    lists = found["lists"]
    return not (
        any(found[name] for name in _ZERO) or lists["stale"] or lists["missing"] or lists["other"]
    )


def write_page(page: Path, found: dict[str, Any]) -> None:
    """Put the table between the page's marks.

    Raises:
        EndcapError: the page has no marks.
    """
    text = page.read_text(encoding="utf-8")
    page.write_text(with_part(text, "soak", _part(found)), encoding="utf-8")


def _part(found: dict[str, Any]) -> str:
    lists, machine = found["lists"], this_machine()
    wrong = lists["stale"] + lists["missing"] + lists["other"]
    lines = [
        f"{found['faults']} faults in {found['seconds'] / 60:.0f} minutes at "
        f"{found['events_per_s']} events/s, each held for {found['held_s']:.0f} s:",
        "",
        "| | |",
        "|---|---|",
        f"| events in, one in ten of them twice | {found['events']:,} |",
        f"| of sessions: lost, doubled, in another order | {found['lost']}, {found['doubled']}, "
        f"{found['out_of_order']} |",
        f"| of item deltas: lost, doubled | {found['deltas_lost']}, {found['deltas_doubled']} |",
        "| processes that ended by themselves (Kafka away at their start) and were started again | "
        f"{found['restarts']} |",
        f"| lists right, item by item | {lists['right']:,} |",
        f"| lists stale, missing or other | {wrong} |",
        f"| pages that asked while the server ran | {found['reads']:,} |",
        f"| without a list | {found['reads_failed']} |",
        f"| the slowest answer | {found['slowest_read_s']:.2f} s |",
        "",
        "| fault | times | seconds to recover, median | longest |",
        "|---|---|---|---|",
        *(
            f"| {kind} | {took['times']} | {took['median']:.1f} | {took['longest']:.1f} |"
            for kind, took in found["seconds_to_recover"].items()
        ),
        "",
        f"`endcap bench soak`, {today()}, {machine.cores} cores of {machine.cpu}, code "
        f"{code_state()}.",
    ]
    return "\n".join(lines)
