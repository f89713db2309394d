"""The benchmark of HTTP as a person runs it: its fixed keys, and a rate that is kept."""

import pytest
from command_line import endcap_json

pytestmark = pytest.mark.integration


@pytest.mark.timeout(400)
def test_bench_http_prints_its_fixed_keys() -> None:
    few = ("--rate", 50, "--rescore-rate", 20, "--seconds", 1, "--turns", 1)
    found = endcap_json("bench", "http", *few, "--json", timeout_s=380.0)
    asked = {
        "ready_p50_ms",
        "ready_p99_ms",
        "rescore_p50_ms",
        "rescore_p99_ms",
        "achieved_per_s",
        "ready_max_per_s",
        "ready_ratio_to_empty",
        "redis_get_per_s",
    }
    assert all(found[key] > 0 for key in asked)
    assert found["ready_p50_ms"] <= found["ready_p99_ms"]
    assert found["achieved_per_s"] > 0
