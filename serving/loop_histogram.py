"""A histogram for what the event loop counts of every request: plain numbers, put together when
Prometheus asks.

prometheus_client's own takes two locks an observation and walks through the bounds one by one,
because any thread may observe. Names, bounds and samples are the same.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import REGISTRY, CollectorRegistry, Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Observations:
    """Those of one set of labels; one thread observes, any may read."""

    __slots__ = ("_bounds", "_counts", "_sum", "began_s")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self.began_s = time.time()

    def observe(self, value: float) -> None:
        """Count a value; what is above all bounds as well."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    @property
    def sum(self) -> float:
        """Of all values."""
        return self._sum

    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus has them: each with what the ones before it hold."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self._counts)), strict=True))


class LoopHistogram(Collector):
    """`label` empty: without, and `observe` is its own; else `labels` gives whose it is."""

    def __init__(
        self,
        name: str,
        documentation: str,
        buckets: Sequence[float],
        label: str = "",
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._bounds = tuple(map(float, buckets))
        self.labelnames = (label,) if label else ()
        self._by_value: dict[tuple[str, ...], Observations] = {}
        if not label:
            self.observe = self._of(()).observe
        registry.register(self)

    def labels(self, value: str) -> Observations:
        """Those of a label's value."""
        return self._of((value,))

    def describe(self) -> Iterator[Metric]:
        """See `Collector`: so that a second one of this name is refused."""
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        family = self._family()
        for values, found in list(self._by_value.items()):
            family.add_metric(values, found.buckets(), found.sum)
            named = dict(zip(self.labelnames, values, strict=True))
            family.add_sample(f"{self._name}_created", named, found.began_s)
        yield family

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._name, self._documentation, labels=self.labelnames)

    def _of(self, values: tuple[str, ...]) -> Observations:
        found = self._by_value.get(values)
        if found is None:
            found = self._by_value[values] = Observations(self._bounds)
        return found
