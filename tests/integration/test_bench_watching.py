"""What `endcap bench watching` watches is the real thing. How much it costs, it says itself."""

import pytest
from prometheus_client import REGISTRY

from endcap.bundle import load_bundle
from endcap.deploy.bench.watching import bench_watching
from endcap.deploy.settings import DEMO_BUNDLE
from endcap.serving.metrics import JUDGED

pytestmark = pytest.mark.integration


def total(of: str) -> float:
    return REGISTRY.get_sample_value(f"endcap_{of}_seconds_sum") or 0.0


def test_each_list_is_judged_each_read_observed_and_the_baseline_stands_beside() -> None:
    judged = JUDGED._value.get()
    reads, ages = total("redis_read"), total("shown_list_age")
    found = bench_watching(load_bundle(DEMO_BUNDLE), 1, lambda done, of: None, (1, 8))
    # The first list of each shopper has none before it to be judged.
    made = [(size, int(found["batches"][str(size)]["turns"])) for size in (1, 8)]
    assert JUDGED._value.get() - judged == sum(size * (turns - 1) for size, turns in made)
    assert total("redis_read") > reads
    assert total("shown_list_age") > ages
    for figures in found["batches"].values():
        assert {"make_lists_us", "quality_us", "inputs_us", "quality_share"} <= figures.keys()
    assert {"get_us", "read_seconds_us", "shown_age_seconds_us", "both_share"} <= set(
        found["hot_get"]
    )
