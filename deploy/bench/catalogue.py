"""Catalogues of ten thousand to ten million items at the rates of a published comparison."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from endcap.arrays import FloatArray
from endcap.bundle import load_bundle
from endcap.deploy.bench.catalogue_visits import made_visits, open_encoder, write_visits
from endcap.deploy.bench.made_up_items import make_table
from endcap.deploy.bench.roles.catalogue_server import Task
from endcap.deploy.progress import Bars
from endcap.errors import EndcapError
from endcap.serving.retrieval import ApproximateRetriever, ExactRetriever, ItemTable, Retriever
from endcap.serving.retrieval.index_folder import build_index, index_folder
from endcap.serving.retrieval.opened import EXACT_UP_TO
from endcap.serving.retrieval.scan import recall, scan

P90_MS = 50.0
_K = 100
_JUDGED = 256
_VISITS, _VISITS_FILE = 4096, "visits.msgpack"
_EXACT_AT_MOST = 4_000_000


class Size(NamedTuple):
    """A row: its rates, tried in this order, and the machine that ETUDE (Evaluating the Inference
    Latency of Session-Based Recommendation Models at Scale, ICDE 2024) names for the first."""

    items: int
    rates: tuple[float, ...]
    etude: str


SIZES = (
    Size(10_000, (100,), "one CPU machine"),
    Size(100_000, (250,), "one CPU machine"),
    Size(1_000_000, (500,), "one T4 GPU"),
    Size(10_000_000, (500, 250, 100), ""),
)


def bench_catalogue(
    bundle_dir: Path, cache_dir: Path, seconds: float, noise: float, largest: int, bars: Bars
) -> dict[str, Any]:
    """One row a size: latency under open-loop load, recall, memory; the exact product beside it.

    A request is a real shopper's session through the bundle's Transformer to a query, and from that
    to the 100 nearest of the table's items; the server is one process with one thread. Latency runs
    from when the request was due. `recall_to_exact` is of 256 visits by which no index was judged.
    """
    folder = cache_dir / "bench-catalogue"
    folder.mkdir(parents=True, exist_ok=True)
    bundle = load_bundle(bundle_dir)
    encoder = open_encoder(bundle)
    bars.say("Cutting visits from the shoppers' histories")
    visits = made_visits(bundle, _VISITS + 2 * _JUDGED)
    write_visits(visits[:_VISITS], folder / _VISITS_FILE)
    queries = encoder.queries(bundle.crowd(visits[_VISITS:]))
    shared = _Shared(bundle_dir, folder, seconds, queries[:_JUDGED], queries[_JUDGED:], bars)
    rows = []
    for size in SIZES:
        if size.items > largest:
            continue
        table = make_table(encoder.table, size.items, noise, folder, bars.advance)
        rows.append(_row(size, table, shared))
        bars.say(_sentence(rows[-1]))
    return {
        "rows": rows,
        "k": _K,
        "model": bundle.manifest.name,
        "noise": noise,
        "seconds": seconds,
        "cores": 1,
    }


class _Shared(NamedTuple):
    bundle_dir: Path
    folder: Path
    seconds: float
    sample: FloatArray
    judged: FloatArray
    bars: Bars


def _row(size: Size, table: ItemTable, shared: _Shared) -> dict[str, Any]:
    row: dict[str, Any] = {"items": size.items, "etude_machine": size.etude}
    way, index = "exact", Path()
    if size.items > EXACT_UP_TO:
        way, index = "index", index_folder(shared.folder, table)
        started = time.perf_counter()
        build_index(table, index, shared.sample, shared.bars.advance)
        row["build_s"] = round(time.perf_counter() - started, 1)
        by_index = ApproximateRetriever(table, index)
        row |= {"probes": by_index.probes, "recall_at_load": round(by_index.recall, 4)}
        opened: Retriever = by_index
    else:
        opened = ExactRetriever(table)
    exact = scan(table, shared.judged, _K, shared.bars.advance).ids
    row["recall_to_exact"] = round(recall(opened.find(shared.judged, _K).ids, exact), 4)
    row |= {"way": way} | _in_a_process(way, table, index, size.rates, shared)
    row["holds"] = row["p90_ms"] <= P90_MS
    row["exact"] = {
        other: _as_baseline(_in_a_process(other, table, index, (), shared))
        for other in ("exact", "plain")
        if other == "plain" or size.items <= _EXACT_AT_MOST
    }
    return row


def _as_baseline(found: dict[str, Any]) -> dict[str, Any]:
    kept = ("alone_p50_ms", "alone_p90_ms", "max_per_s", "memory_mib")
    return {name: found[name] for name in kept}


def _in_a_process(
    way: str, table: ItemTable, index: Path, rates: tuple[float, ...], shared: _Shared
) -> dict[str, Any]:
    shared.bars.say(f"Serving {table.items:,} items: {way}")
    path = getattr(table.vectors, "filename", None)
    task = Task(
        way,
        str(shared.bundle_dir),
        str(path),
        str(index),
        str(shared.folder / _VISITS_FILE),
        rates,
        shared.seconds,
        P90_MS,
    )
    one_core = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "endcap.deploy.bench.roles.catalogue_server",
            msgspec.json.encode(task).decode(),
        ],
        check=False,
        stdout=subprocess.PIPE,
        env=os.environ | one_core,
    )
    if done.returncode:
        raise EndcapError(
            f"The process that serves {table.items:,} items by {way} ended with "
            f"{done.returncode}; its output stands above."
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _sentence(row: dict[str, Any]) -> str:
    return (
        f"{row['items']:,} items at {row['requests_per_s']:g}/s: p50 {row['p50_ms']} ms, p90 "
        f"{row['p90_ms']} ms, recall {row['recall_to_exact']}, {row['memory_mib']} MiB "
        f"({row['way']}; at most {row['max_per_s']:g}/s)"
    )
