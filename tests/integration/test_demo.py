"""`endcap demo` as its users run it, on a short replay."""

import json

import pytest
from command_line import endcap

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


def test_the_demo_prints_one_object_and_beats_popularity() -> None:
    ended = endcap("demo", "--exit-when-done", "--json", "--baskets", "600", timeout_s=390)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert list(found) == [
        *("broker", "store", "events_in", "events_folded", "lists_written", "users_with_list"),
        *("latency_ms", "hit_rate_at_10", "popularity_hit_rate_at_10", "dead_letters"),
        *("provider", "model"),
    ]
    assert found["broker"].startswith("Apache Kafka 4.1")
    assert "valkey" in found["store"]
    assert found["events_folded"] == found["events_in"] > 100_000
    assert found["lists_written"] >= found["users_with_list"] > 2_000
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]
    assert found["hit_rate_at_10"] > 1.3 * found["popularity_hit_rate_at_10"]
    assert found["dead_letters"] == 0
    assert found["provider"] == "CPUExecutionProvider"
