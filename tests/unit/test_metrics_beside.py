"""Two processes, one /metrics: counts are added, each family stands once."""

import asyncio
import socket
import urllib.request

import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from endcap.deploy import metrics_beside
from endcap.deploy.frames import framed
from endcap.deploy.health_port import serve_health_and_metrics
from endcap.deploy.heartbeat import Heartbeat
from endcap.deploy.local_stack.ports import free_ports
from endcap.deploy.metrics_beside import Beside, SilentProcessError, Summed, tell_of
from endcap.deploy.probe import problem


def counted(events: int, lists: int, started_at: float) -> CollectorRegistry:
    registry = CollectorRegistry()
    outcomes = Counter("events", "Events", ["outcome"], registry=registry)
    if events:
        outcomes.labels("folded").inc(events)
    Counter("lists", "Lists", registry=registry).inc(lists)
    Histogram("took", "Seconds", buckets=[1, 2], registry=registry).observe(0.5 + events)
    Gauge("process_start_time_seconds", "Start", registry=registry).set(started_at)
    return registry


def test_counts_of_both_are_one_and_each_family_stands_once(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    fold, rescorer = counted(3, 0, 200.0), counted(0, 5, 100.0)
    Info("model", "Its name", registry=rescorer).info({"name": "spring"})
    Gauge("sessions", "Held", registry=fold).set(7)
    tell_of(ends[0], Heartbeat(), fold)
    both = CollectorRegistry()
    both.register(Summed(rescorer, Beside(ends[1])))
    text = generate_latest(both).decode()
    families = list(text_string_to_metric_families(text))
    names = [each.name for each in families]
    assert len(names) == len(set(names))
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for each in families
        for sample in each.samples
    }
    assert found["events_total", "folded"] == 3
    assert found["lists_total",] == 5
    assert found["took_count",] == 2
    assert found["took_bucket", "1.0"] == 1
    assert found["took_sum",] == 4.0
    assert found["process_start_time_seconds",] == 100.0
    assert found["sessions",] == 7
    assert found["model_info", "spring"] == 1


async def test_a_process_whose_fold_does_not_answer_is_not_well_and_still_has_its_metrics(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_beside, "_ANSWER_S", 0.05)
    (port,) = free_ports(1)
    serve_health_and_metrics("127.0.0.1", port, Beside(ends[1]))
    said = await asyncio.to_thread(problem, f"http://127.0.0.1:{port}/healthz")
    assert said is not None
    assert "answers 503" in said
    assert "process_cpu_seconds_total" in await asyncio.to_thread(_metrics, port)
    tell_of(ends[0], Heartbeat(), CollectorRegistry())
    # The answers to the questions before come first, and are passed over.
    assert await asyncio.to_thread(problem, f"http://127.0.0.1:{port}/healthz") is None


def test_an_answer_that_was_cut_off_spoils_none_that_come_later(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_beside, "_ANSWER_S", 0.05)
    late = framed(msgspec.msgpack.encode([1, 0.0, []]))
    beside = Beside(ends[1])
    ends[0].sendall(late[:5])
    with pytest.raises(SilentProcessError):
        beside.age_s()
    ends[0].sendall(late[5:])
    ends[1].settimeout(10)
    heart = Heartbeat(iter([0.0, 7.0, 7.0]).__next__)
    tell_of(ends[0], heart, CollectorRegistry())
    assert beside.age_s() == 7.0


def _metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text
