"""From a load to partitions, processes, memory, disk, network and money. Pure arithmetic."""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from endcap.deploy.capacity.constants import MEASURED, Constants

_MIB, _GIB = 1 << 20, 1 << 30
_DAY_S, _MONTH_H = 86_400.0, 730.0
_EVEN = (2, 3, 4, 6, 12)
"""Sizes of a group, and above them whole dozens: partitions by the dozen go into each evenly. With
180 partitions 61 of 119 workers would have two, and be full at half the rate of the others."""


@dataclass(frozen=True)
class Prices:
    """Of a month's bill. The defaults are of the order of what large clouds list for machines by
    the hour; they are nobody's offer: put in your own."""

    core_hour: float = 0.04
    gib_hour: float = 0.005
    disk_gib_month: float = 0.08
    network_gib: float = 0.01
    """A GiB from one zone to another."""


@dataclass(frozen=True)
class Load:
    """What is to be carried.

    Args:
        events_per_second: at the busiest minute of the day.
        users: shoppers whose session is kept.
        items: of the catalogue.
        lists_per_event: 1 where every event makes a list; a burst of one shopper makes one.
        weekly_share: of the users, who have a list in Redis: those of the last seven days.
        reads_per_event: lists read by HTTP for an event; pages that read Redis need none.
        peak_to_mean: the busiest minute over the month's mean, for disk and network.
        retention_days: of raw events.
        replication: of every topic, and 1 less of Redis.
        utilisation: how full a core may be at the peak.
    """

    events_per_second: float
    users: float
    items: float
    lists_per_event: float = 1.0
    weekly_share: float = 0.3
    reads_per_event: float = 0.5
    peak_to_mean: float = 3.0
    retention_days: float = 30.0
    replication: int = 3
    utilisation: float = 0.6
    redis_shard_gib: float = 12.0

    @property
    def lists_per_second(self) -> float:
        """To be scored and written at the peak."""
        return self.events_per_second * self.lists_per_event


@dataclass(frozen=True)
class Resource:
    """Something that can be full.

    `full_at`: events a second at which it is, with `units` of it; `grows`: what is done then.
    """

    name: str
    units: int
    full_at: float
    grows: str
    scales: bool = True


@dataclass(frozen=True)
class Plan:
    """What the load needs."""

    load: Load
    partitions: int
    stream_workers: int
    rescorers: int
    http_servers: int
    brokers: int
    redis_shards: int
    list_us: float
    memory_gib: dict[str, float]
    disk_gib: dict[str, float]
    network_mib_s: dict[str, float]
    cores: dict[str, float]
    cost_per_month: dict[str, float]
    resources: tuple[Resource, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """For `--json`, rounded."""
        return {
            "partitions": self.partitions,
            "stream_workers": self.stream_workers,
            "rescorers": self.rescorers,
            "trends_processes": 1,
            "http_servers": self.http_servers,
            "brokers": self.brokers,
            "redis_shards": self.redis_shards,
            "cpu_us_per_list": round(self.list_us),
            "cores": _rounded(self.cores),
            "memory_gib": _rounded(self.memory_gib),
            "disk_gib": _rounded(self.disk_gib),
            "network_mib_s_at_peak": _rounded(self.network_mib_s),
            "cost_per_month": _rounded(self.cost_per_month, 0),
            "bottlenecks": [
                {
                    "what": each.name,
                    "units": each.units,
                    "full_at_events_per_second": round(each.full_at),
                    "times_the_load": round(each.full_at / self.load.events_per_second, 2),
                    "then": each.grows,
                }
                for each in self.resources
            ],
        }


def plan(load: Load, prices: Prices | None = None, measured: Constants = MEASURED) -> Plan:
    """The smallest deployment that keeps each core at `utilisation` at the peak.

    `resources` are in the order in which they are full as the load grows and nothing is added: the
    first one is the first bottleneck, and so on.
    """
    prices = prices or Prices()
    events, lists = load.events_per_second, load.lists_per_second
    list_us = measured.score_us_per_list.value + retrieval_us(load.items, measured)
    spare = load.utilisation

    stream = _members(events / measured.fold_events_per_core_s.value / spare)
    rescorers = _members(lists * list_us / 1e6 / spare)
    reads = events * load.reads_per_event
    http = max(2, math.ceil(reads / measured.http_lists_per_core_s.value / spare))
    # Twice as many: a group cannot have more members than partitions, and more partitions are a
    # rebuild, since they move shoppers.
    largest = max(stream, rescorers)
    partitions = 2 * (largest if largest % 12 == 0 else 12)

    memory = _memory(load, stream, rescorers, http, measured)
    shards = max(
        1,
        math.ceil(memory["redis, without replicas"] / load.redis_shard_gib),
        math.ceil(lists / measured.redis_lists_per_core_s.value / spare),
    )
    per_event = _log_bytes_per_event(measured)
    # A broker carries what its followers fetch beside what producers bring.
    brokers = max(
        load.replication,
        math.ceil(events * load.replication / measured.broker_events_per_core_s.value / spare / 4),
    )
    network = {
        "producers to Kafka": events * measured.event_json_bytes.value / _MIB,
        "Kafka to Kafka": events * per_event * (load.replication - 1) / _MIB,
        "Kafka to workers": events * per_event / _MIB,
        "rescorers to Redis": lists * measured.redis_list_bytes.value / _MIB,
    }
    disk = _disk(load, per_event, measured)
    cores = {
        "stream": float(stream),
        "rescore": float(rescorers),
        "trends": 1.0,
        "serve": float(http),
        "kafka": 4.0 * brokers,
        "redis": 2.0 * shards,
    }
    return Plan(
        load,
        partitions,
        stream,
        rescorers,
        http,
        brokers,
        shards,
        list_us,
        memory,
        disk,
        network,
        cores,
        _cost(cores, memory, disk, network, load, prices),
        _resources(load, stream, rescorers, http, brokers, shards, partitions, list_us, measured),
    )


def retrieval_us(items: float, measured: Constants = MEASURED) -> float:
    """CPU of finding candidates among so many items, beside what a list costs anyway.

    Nothing up to the demo's catalogue, whose items the model looks at in any case; beyond it by
    the measured sizes, straight between them on a logarithmic scale.

    >>> retrieval_us(11_827), retrieval_us(1_000_000)
    (0.0, 800.0)
    """
    points = (
        (20_000.0, 0.0),
        (100_000.0, measured.retrieval_us_at_100k.value),
        (1_000_000.0, measured.retrieval_us_at_1m.value),
        (10_000_000.0, measured.retrieval_us_at_10m.value),
    )
    if items <= points[0][0]:
        return 0.0
    for (below, low), (above, high) in pairwise(points):
        if items <= above or above == points[-1][0]:
            share = math.log(items / below) / math.log(above / below)
            return low + share * (high - low)
    raise AssertionError("the last size answers for all above it")


def _log_bytes_per_event(measured: Constants) -> float:
    return (
        measured.event_log_bytes.value
        + measured.snapshot_log_bytes_per_event.value
        + measured.delta_log_bytes_per_event.value
    )


def _memory(
    load: Load, stream: int, rescorers: int, http: int, measured: Constants
) -> dict[str, float]:
    lists = load.users * load.weekly_share * measured.redis_list_bytes.value
    items = load.items * measured.redis_item_bytes.value
    index_mib = load.items / 1e6 * measured.index_mib_per_million.value
    redis = (lists + items) / _GIB
    copies = max(1, load.replication - 1)
    return {
        "stream": stream * measured.stream_mib.value / 1024,
        # The local store's pages that are in use; all of them where memory allows it.
        "stream, sessions in the page cache": (
            load.users * load.weekly_share * measured.store_bytes_per_session.value / _GIB
        ),
        "rescore": rescorers * (measured.rescore_mib.value + index_mib) / 1024,
        "trends": measured.trends_mib.value / 1024,
        "serve": http * measured.serve_mib.value / 1024,
        "redis, without replicas": redis,
        "redis": redis * copies,
    }


def _disk(load: Load, per_event: float, measured: Constants) -> dict[str, float]:
    mean = load.events_per_second / load.peak_to_mean
    raw = mean * _DAY_S * load.retention_days * measured.event_log_bytes.value
    # A compacted topic is cleaned when half of it is stale: twice what is live.
    sessions = 2 * load.users * measured.snapshot_bytes.value
    deltas = mean * _DAY_S * load.retention_days * measured.delta_log_bytes_per_event.value
    return {
        "kafka, events": raw * load.replication / _GIB,
        "kafka, sessions": sessions * load.replication / _GIB,
        "kafka, item deltas": deltas * load.replication / _GIB,
        "stream, local stores": load.users * measured.store_bytes_per_session.value / _GIB,
    }


def _cost(
    cores: dict[str, float],
    memory: dict[str, float],
    disk: dict[str, float],
    network: dict[str, float],
    load: Load,
    prices: Prices,
) -> dict[str, float]:
    gib = sum(size for name, size in memory.items() if name != "redis, without replicas")
    gib += 4.0 * cores["kafka"]  # 4 GiB a core: heap, and a page cache for what was just written
    moved = sum(network.values()) / load.peak_to_mean * _MONTH_H * 3600 / 1024
    found = {
        "cores": sum(cores.values()) * prices.core_hour * _MONTH_H,
        "memory": gib * prices.gib_hour * _MONTH_H,
        "disk": sum(disk.values()) * prices.disk_gib_month,
        "network": moved * prices.network_gib,
    }
    return found | {"all": sum(found.values())}


def _resources(
    load: Load,
    stream: int,
    rescorers: int,
    http: int,
    brokers: int,
    shards: int,
    partitions: int,
    list_us: float,
    measured: Constants,
) -> tuple[Resource, ...]:
    """Each thing that can be full, the first to be first."""
    found = [
        Resource(
            "trends",
            1,
            1e6 / measured.trends_us_per_event.value,
            "it is one process: its lists come later, the shoppers' own do not",
            scales=False,
        ),
        Resource(
            "rescore",
            rescorers,
            rescorers / (list_us / 1e6) / load.lists_per_event,
            f"more rescorers, up to {partitions}; then more partitions",
        ),
        Resource(
            "stream",
            stream,
            stream * measured.fold_events_per_core_s.value,
            f"more session workers, up to {partitions}",
        ),
        Resource(
            "redis",
            shards,
            shards * measured.redis_lists_per_core_s.value / load.lists_per_event,
            "more shards of a cluster",
        ),
        Resource(
            "kafka",
            brokers,
            brokers * 4 * measured.broker_events_per_core_s.value / load.replication,
            "more brokers, partitions moved to them",
        ),
    ]
    if load.reads_per_event > 0:
        found.append(
            Resource(
                "serve",
                http,
                http * measured.http_lists_per_core_s.value / load.reads_per_event,
                "more HTTP servers, or pages that read Redis themselves",
            )
        )
    return tuple(sorted(found, key=lambda each: each.full_at))


def _members(wanted: float) -> int:
    """
    >>> _members(0.3), _members(4.2), _members(118.3)
    (2, 6, 120)
    """
    return next((size for size in _EVEN if wanted <= size), 12 * math.ceil(wanted / 12))


def _rounded(values: dict[str, float], digits: int = 2) -> dict[str, float]:
    return {name: round(value, digits) for name, value in values.items()}
