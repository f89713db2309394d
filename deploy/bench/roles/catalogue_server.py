"""A shopper's visit to the 100 nearest items, in a process of its own on one core."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil

from endcap.arrays import FloatArray
from endcap.bundle import load_bundle
from endcap.deploy.bench.catalogue_visits import open_encoder, read_visits
from endcap.deploy.bench.open_loop import open_loop
from endcap.serving.retrieval import ApproximateRetriever, ExactRetriever, ItemTable, open_table

K = 100
LARGEST_BATCH = 32
_WARM = 64
_ALONE = 40
_FULL_BATCHES = 24
_LONGEST_S = 12.0

Find = Callable[[FloatArray], object]


class Task(msgspec.Struct, frozen=True):
    """What the process is asked for. `way`: `exact`, `index` or `plain`; `rates`: tried in this
    order until one holds `p90_ms`; none: only the highest rate is measured."""

    way: str
    bundle: str
    table: str
    index: str
    visits: str
    rates: tuple[float, ...]
    seconds: float
    p90_ms: float


def serve(task: Task) -> dict[str, Any]:
    """Latencies of the first rate that holds, the time alone, the highest rate, the memory."""
    bundle = load_bundle(Path(task.bundle))
    encoder = open_encoder(bundle)
    visits = read_visits(Path(task.visits))
    table = open_table(Path(task.table))
    find = _ways(task, table)

    def answer(numbers: Sequence[int]) -> None:
        crowd = bundle.crowd([visits[number % len(visits)] for number in numbers])
        find(encoder.queries(crowd))

    for number in range(_WARM):
        answer(range(number * 8, number * 8 + 1 + number % 8))
    found: dict[str, Any] = {"tried": {}}
    for rate in task.rates:
        served = open_loop(answer, rate, task.seconds, LARGEST_BATCH, seed=1)
        found["tried"][f"{rate:g}"] = served.quantile_ms(0.9)
        found |= {
            "requests_per_s": rate,
            "p50_ms": served.quantile_ms(0.5),
            "p90_ms": served.quantile_ms(0.9),
            "p99_ms": served.quantile_ms(0.99),
            "max_ms": served.quantile_ms(1.0),
            "achieved_per_s": served.achieved_per_s,
            "mean_batch": round(served.mean_batch, 2),
            "cpu_ms_a_request": served.cpu_ms_a_request,
        }
        if served.quantile_ms(0.9) <= task.p90_ms:
            break
    alone = _times(lambda turn: answer(range(turn, turn + 1)), _ALONE)
    full = _times(
        lambda turn: answer(range(turn * LARGEST_BATCH, (turn + 1) * LARGEST_BATCH)), _FULL_BATCHES
    )
    return found | {
        "alone_p50_ms": round(float(np.quantile(alone, 0.5)) * 1000, 3),
        "alone_p90_ms": round(float(np.quantile(alone, 0.9)) * 1000, 3),
        "max_per_s": round(LARGEST_BATCH / float(np.median(full)), 1),
        **_memory(),
    }


def _ways(task: Task, table: ItemTable) -> Find:
    if task.way == "plain":
        return lambda queries: plain_product(table, queries)
    retriever = (
        ExactRetriever(table)
        if task.way == "exact"
        else ApproximateRetriever(table, Path(task.index))
    )
    return lambda queries: retriever.find(queries, K)


def plain_product(table: ItemTable, queries: FloatArray) -> FloatArray:
    """What one writes first: numpy's product and argpartition, over tiles of a million items."""
    best = np.zeros((len(queries), 0), dtype=np.float32)
    for _, tile in table.tiles(1 << 20):
        products = queries @ tile.T
        places = np.argpartition(-products, K - 1, axis=1)[:, :K]
        best = np.concatenate([best, np.take_along_axis(products, places, 1)], axis=1)
    return -np.sort(-best, axis=1)[:, :K]


def _times(run: Callable[[int], None], turns: int) -> list[float]:
    """Seconds of each turn; slow ways get fewer turns."""
    times: list[float] = []
    started = time.perf_counter()
    for turn in range(turns):
        before = time.perf_counter()
        run(turn)
        times.append(time.perf_counter() - before)
        if time.perf_counter() - started > _LONGEST_S and turn > 1:
            break
    return times


def _memory() -> dict[str, int]:
    """Resident, pages of mapped files included, and what of it the kernel cannot take back."""
    info = psutil.Process().memory_full_info()
    return {
        "memory_mib": round(info.rss / (1 << 20)),
        "anonymous_mib": round((info.rss - info.shared) / (1 << 20)),
    }


if __name__ == "__main__":
    print(json.dumps(serve(msgspec.json.decode(sys.argv[1], type=Task))))
