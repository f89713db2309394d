"""From an event's produce to its list in Redis, in both forms, beside the floor of the same run.

Open loop: events are sent at their times, whether or not those before are answered for, and each
is timed from when it was due. `roles/list_watch.py` says when a list is readable.
"""

import asyncio
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec

from endcap.bundle import load_bundle
from endcap.deploy.bench.histogram import histogram
from endcap.deploy.bench.latency_floor import latency_floor
from endcap.deploy.bench.shop_hours import Sent, ShopHours, milliseconds_to_list
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports, is_open
from endcap.deploy.local_stack.supervised import Child
from endcap.deploy.progress import Bars
from endcap.deploy.prometheus_text import Samples, scrape, total
from endcap.deploy.replay import import_history, load_shop, purchase_sessions
from endcap.deploy.settings import Settings
from endcap.errors import EndcapError
from endcap.serving.onnx_session import OnnxScorer
from endcap.streams.clients import create_topics, started_producer, stop_producer
from endcap.streams.event_producer import EventProducer
from endcap.topics import topics_with_prefix

FORMS: Mapping[str, Sequence[Sequence[str]]] = {
    "two_process": (("stream",), ("rescore",)),
    "joined": (("stream", "--rescore"),),
}
PARTITIONS = 4
_WARM_S = 5.0
_QUIET_S = 1.5
_READY_S = 90.0
_WATCH = Path(__file__).parent / "roles" / "list_watch.py"
_PARTS = {
    "read": "endcap_event_age_at_fold_seconds",
    "fold": "endcap_stream_fold_seconds",
    "wait": "endcap_list_wait_seconds",
    "rescore": "endcap_rescore_seconds",
    "write": "endcap_list_write_seconds",
}


def bench_latency(settings: Settings, rate: float, seconds: float, bars: Bars) -> dict[str, Any]:
    """Percentiles of both forms at `rate` events a second, and their ratios to the floor.

    It brings its own stack. Sessions are those of Complete Journey's shoppers up to the held-out
    weeks; the events sent are the baskets of those weeks, each line an event. What stands at the
    top is of the joined form. `parts`: shares of the mean; `produce` ends with the broker's stamp,
    `hand_over` is what is left: the way from the fold to the rescorer, and thread and loop.
    """
    with LocalStack(None, None, settings.cache_dir, bars.say) as stack:
        return asyncio.run(_measure(stack, settings, rate, seconds, bars))


async def _measure(
    stack: LocalStack, settings: Settings, rate: float, seconds: float, bars: Bars
) -> dict[str, Any]:
    bars.say("Reading Complete Journey")
    shop = await asyncio.to_thread(load_shop)
    bundle = load_bundle(settings.bundle)
    scorer = OnnxScorer(bundle, settings.provider, settings.inference_threads)
    shoppers = purchase_sessions(shop.history[:20_000])
    bars.say("The floor, on an idle stack")
    floor = await latency_floor(
        stack.bootstrap_servers, stack.redis_url, bundle, scorer, shoppers[:: len(shoppers) // 100]
    )
    prefix = f"latency-{uuid4().hex[:8]}"
    topics = topics_with_prefix(prefix)
    await create_topics(stack.bootstrap_servers, topics, PARTITIONS)
    found: dict[str, dict[str, Any]] = {}
    async with AsyncExitStack() as closing:
        raw_producer = await started_producer(stack.bootstrap_servers)
        closing.push_async_callback(stop_producer, raw_producer)
        producer = EventProducer(raw_producer, topics.events.name)
        bars.say("Importing the shoppers' history")
        await import_history(shop.history, producer, lambda _: None, lambda: False)
        hours = ShopHours(shop.held_out, Counter(basket.user_id for basket in shop.history))
        for form, commands in FORMS.items():
            with _running(stack, settings, prefix, commands) as processes:
                await hours.send(producer, rate, 1.0)  # who had all before has something to show
                await processes.served_everything()
                bars.say(f"{form}: {rate:g} events/s for {seconds:g} s")
                await hours.send(producer, rate, _WARM_S)
                found[form] = await _one_form(stack, processes, hours, producer, rate, seconds)
    return _report(found, floor, rate, seconds, scorer.provider)


async def _one_form(
    stack: LocalStack,
    processes: "_Processes",
    hours: ShopHours,
    producer: EventProducer,
    rate: float,
    seconds: float,
) -> dict[str, Any]:
    written = stack.log_dir / f"seen-{uuid4().hex[:8]}.json"
    where = urlsplit(stack.redis_url)
    watch = await asyncio.create_subprocess_exec(
        *(sys.executable, str(_WATCH), str(where.hostname), str(where.port), str(written)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if watch.stdout is not None:
        await watch.stdout.readline()  # it says that it watches
    before = processes.metrics()
    try:
        sent = await hours.send(producer, rate, seconds)
        await processes.served_everything()
    finally:
        await watch.communicate(b"")
    after = processes.metrics()
    seen = msgspec.json.decode(written.read_bytes(), type=list[tuple[str, int, int]])
    took, lost = milliseconds_to_list(sent, seen)
    if not took:
        raise EndcapError(f"No list was written; the logs are in {stack.log_dir}.")
    return {
        **_percentiles(took),
        "lost": lost,
        "mean_ms": round(statistics.fmean(took), 2),
        "histogram": histogram(took),
        **_parts(sent, statistics.fmean(took), before, after),
        "achieved_per_s": round(len(sent) / (sent[-1].sent_ns - sent[0].due_ns) * 1e9),
        "lists": int(_grown("endcap_lists_written_total", before, after)),
        "coalesced": int(_grown("endcap_snapshots_coalesced_total", before, after)),
        "shed": int(_grown("endcap_lists_shed_total", before, after)),
        "users_a_batch": round(_mean("endcap_rescore_batch_users", before, after), 2),
        "events_a_fold": round(_mean("endcap_stream_batch_events", before, after), 2),
        "commit_ms": round(_mean("endcap_stream_commit_seconds", before, after) * 1000, 2),
        "batch_bound": int(total(after, "endcap_rescore_batch_bound")),
        "cpu_s": round(_grown("process_cpu_seconds_total", before, after), 2),
    }


def _parts(sent: Sequence[Sent], mean_ms: float, before: Samples, after: Samples) -> dict[str, Any]:
    produce = statistics.fmean((each.stamp_ns - each.due_ns) / 1e6 for each in sent)
    # The broker's stamp is cut to the millisecond: half of one on average.
    ms = {"produce": produce + 0.5}
    for part, metric in _PARTS.items():
        ms[part] = _mean(metric, before, after) * 1000 - (0.5 if part == "read" else 0.0)
    ms["hand_over"] = max(0.0, mean_ms - sum(ms.values()))
    return {
        "parts": {part: round(spent / mean_ms, 3) for part, spent in ms.items()},
        "parts_ms": {part: round(spent, 2) for part, spent in ms.items()},
    }


def _report(
    found: Mapping[str, dict[str, Any]],
    floor: Sequence[Mapping[str, float]],
    rate: float,
    seconds: float,
    provider: str,
) -> dict[str, Any]:
    lowest = {
        part: {
            "p50": _quantile([each[part] for each in floor], 0.5),
            "p99": _quantile([each[part] for each in floor], 0.99),
        }
        for part in floor[0]
    }

    def beside_floor(form: Mapping[str, Any]) -> dict[str, Any]:
        return dict(form) | {
            "p50_ratio_to_floor": round(form["p50_ms"] / lowest["all"]["p50"], 2),
            "p99_ratio_to_floor": round(form["p99_ms"] / lowest["all"]["p99"], 2),
        }

    return {
        **beside_floor(found["joined"]),
        "floor_ms": lowest["all"],
        "floor_parts_ms": {part: held for part, held in lowest.items() if part != "all"},
        "two_process": beside_floor(found["two_process"]),
        "rate": rate,
        "seconds": seconds,
        "provider": provider,
    }


def _percentiles(took: Sequence[float]) -> dict[str, float]:
    return {
        "p50_ms": _quantile(took, 0.5),
        "p90_ms": _quantile(took, 0.9),
        "p99_ms": _quantile(took, 0.99),
        "max_ms": round(max(took), 2),
    }


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)


def _grown(name: str, before: Samples, after: Samples) -> float:
    return total(after, name) - total(before, name)


def _mean(name: str, before: Samples, after: Samples) -> float:
    count = _grown(f"{name}_count", before, after)
    return _grown(f"{name}_sum", before, after) / count if count else 0.0


class _Processes:
    def __init__(self, ports: Sequence[int], children: Sequence[Child]) -> None:
        self._ports = ports
        self._children = children

    def metrics(self) -> Samples:
        """Of all of them; a name of one stands for what it counts in that one."""
        summed: Samples = {}
        for port in self._ports:
            for name, value in scrape(port).items():
                summed[name] = summed.get(name, 0.0) + value
        return summed

    async def served_everything(self) -> None:
        """Returns when nothing moves any more: all is folded, read and written."""
        last: tuple[float, ...] = ()
        moved_at = time.monotonic()
        while time.monotonic() - moved_at < _READY_S:
            for child in self._children:
                child.check()
            held = await asyncio.to_thread(self.metrics)
            moved = tuple(
                total(held, name)
                for name in (
                    "endcap_events_total",
                    "endcap_snapshots_total",
                    "endcap_snapshots_read_total",
                    "endcap_lists_written_total",
                )
            )
            waits = total(held, "endcap_lists_unfinished")
            if moved != last:
                last, moved_at = moved, time.monotonic()
            elif moved[3] and not waits and time.monotonic() - moved_at > _QUIET_S:
                return
            await asyncio.sleep(0.1)
        raise EndcapError(f"Lists are missing, and for {_READY_S:.0f} s nothing has moved.")


@contextmanager
def _running(
    stack: LocalStack, settings: Settings, prefix: str, commands: Sequence[Sequence[str]]
) -> Iterator[_Processes]:
    children: list[Child] = []
    ports = free_ports(len(commands))
    try:
        for command, port in zip(commands, ports, strict=True):
            name = "-".join(command)
            child = Child(
                f"endcap {' '.join(command)}",
                [sys.executable, "-m", "endcap.deploy.cli", *command],
                stack.log_dir / f"{name}.log",
                os.environ
                | {
                    "ENDCAP_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
                    "ENDCAP_REDIS_URL": stack.redis_url,
                    "ENDCAP_TOPIC_PREFIX": prefix,
                    "ENDCAP_BUNDLE": str(settings.bundle.resolve()),
                    "ENDCAP_PROVIDER": settings.provider,
                    "ENDCAP_DATA_DIR": str(stack.log_dir / "data"),
                    "ENDCAP_METRICS_PORT": str(port),
                },
            )
            children.append(child)
            child.wait_until(partial(is_open, port), _READY_S)
        yield _Processes(ports, children)
    finally:
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.stop(30.0)
