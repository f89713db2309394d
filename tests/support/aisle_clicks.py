"""A shop's events file: sixty shoppers, who go round one of ten aisles of twelve items each."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

COLUMNS = ("user_id", "item_id", "event_type", "timestamp")


def write_clicks(path: Path, seed: int, columns: Sequence[str] = COLUMNS) -> None:
    """`columns`: the shop's own names of the four, in this order."""
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(columns)
        for visitor in range(60):
            at, place = 1_700_000_000 + visitor * 5000, int(rng.integers(12))
            for _ in range(40):
                place = (place + int(rng.integers(1, 3))) % 12
                at += int(rng.integers(60, 90_000))
                rows.writerow([f"v{visitor}", f"sku-{visitor % 10}-{place}", "view", at])
