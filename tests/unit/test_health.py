"""/healthz of a process without HTTP of its own, and the probe that asks it."""

import asyncio
import urllib.request

import pytest

from endcap.deploy import health_port
from endcap.deploy.health_port import serve_health_and_metrics
from endcap.deploy.heartbeat import Heartbeat
from endcap.deploy.local_stack.ports import free_ports
from endcap.deploy.probe import problem


async def test_a_process_whose_loop_turns_is_well_and_has_metrics() -> None:
    (port,) = free_ports(1)
    serve_health_and_metrics("127.0.0.1", port)
    assert await asyncio.to_thread(problem, f"http://127.0.0.1:{port}/healthz") is None
    text = await asyncio.to_thread(_read, f"http://127.0.0.1:{port}/metrics")
    assert "# TYPE process_cpu_seconds_total counter" in text


async def test_a_process_that_stands_still_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_port, "STALE_S", 0.0)
    (port,) = free_ports(1)
    serve_health_and_metrics("127.0.0.1", port)
    said = await asyncio.to_thread(problem, f"http://127.0.0.1:{port}/healthz")
    assert said is not None
    assert 'answers 503: {"status":"stalled"' in said


def test_the_heart_is_as_old_as_the_last_turn_of_the_loop() -> None:
    now = 100.0
    heart = Heartbeat(lambda: now)
    loop = asyncio.new_event_loop()
    now = 140.0
    assert heart.age_s == 40.0
    heart.beat_on(loop)
    assert heart.age_s == 0.0
    loop.close()


def test_the_probe_says_what_to_do_where_nothing_answers() -> None:
    (port,) = free_ports(1)
    said = problem(f"http://127.0.0.1:{port}/healthz")
    assert said is not None
    assert "is the process up, with this port?" in said
    assert "write it as http://" in (problem("localhost:9101") or "")


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
        return str(answer.read().decode())
