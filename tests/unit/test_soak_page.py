"""What a soak says in docs/reliability.md, and when it ends with status 1."""

from pathlib import Path
from typing import Any

import pytest

from endcap.deploy.bench.soak.page import is_sound, write_page

FOUND: dict[str, Any] = {
    "faults": 36,
    "events": 90_000,
    "lost": 0,
    "doubled": 0,
    "out_of_order": 0,
    "deltas_lost": 0,
    "deltas_doubled": 0,
    "restarts": 1,
    "lists": {"right": 528, "stale": 0, "missing": 0, "other": 0},
    "reads": 4_000,
    "reads_failed": 0,
    "slowest_read_s": 0.6,
    "seconds_to_recover": {"cut Kafka": {"times": 2, "median": 1.5, "longest": 2.5}},
    "seconds": 1200.0,
    "events_per_s": 300,
    "held_s": 8.0,
}


def test_the_page_has_each_kind_of_fault_and_nothing_else_of_it_changes(tmp_path: Path) -> None:
    page = tmp_path / "reliability.md"
    page.write_text("before\n<!-- bench:soak -->\n<!-- /bench:soak -->\nafter\n")
    write_page(page, FOUND)
    written = page.read_text()
    assert written.startswith("before\n")
    assert written.endswith("\nafter\n")
    assert "| cut Kafka | 2 | 1.5 | 2.5 |" in written
    assert "36 faults in 20 minutes" in written


@pytest.mark.parametrize(
    "wrong",
    [
        {"lost": 1},
        {"doubled": 1},
        {"deltas_doubled": 1},
        {"reads_failed": 1},
        {"lists": {"right": 527, "stale": 1, "missing": 0, "other": 0}},
    ],
)
def test_whatever_is_lost_doubled_or_wrong_is_told_by_the_status(wrong: dict[str, Any]) -> None:
    assert is_sound(FOUND)
    assert not is_sound(FOUND | wrong)
