"""What Prometheus reads of a histogram of the loop is what prometheus_client's own would say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from endcap.serving.loop_histogram import LoopHistogram

BOUNDS = (0.0001, 0.5, 1, 60)
values = st.floats(0, 100) | st.sampled_from(BOUNDS)


def told(registry: CollectorRegistry) -> list[str]:
    """Without when it began."""
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if not line.startswith("took_seconds_created")]


@given(st.lists(st.tuples(st.sampled_from(["/a", '/b/{"}']), values), max_size=20))
def test_it_tells_the_same_by_label(observed: list[tuple[str, float]]) -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    other = Histogram("took_seconds", "How long", ["route"], buckets=BOUNDS, registry=theirs)
    histogram = LoopHistogram("took_seconds", "How long", BOUNDS, "route", ours)
    for route, value in observed:
        other.labels(route).observe(value)
        histogram.labels(route).observe(value)
    assert told(ours) == told(theirs)


def test_it_tells_the_same_without_a_label_from_its_beginning() -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    other = Histogram("took_seconds", "How long", buckets=BOUNDS, registry=theirs)
    histogram = LoopHistogram("took_seconds", "How long", BOUNDS, registry=ours)
    assert told(ours) == told(theirs)
    for value in (0.2, 70.0, 0.5):
        other.observe(value)
        histogram.observe(value)
    assert told(ours) == told(theirs)
    with pytest.raises(ValueError, match="Duplicated"):
        LoopHistogram("took_seconds", "How long", BOUNDS, registry=ours)
