"""What the models of a process are asked, beside what they were trained on: for drift.

A batch is counted at most every 10 ms, so that a rush pays nothing for it: it is of whoever waits,
and stands for the others. Only counts leave the process. What they come to over all processes and a
window of time is worked out where both are known (deploy/monitoring/prometheus/rules).
"""

import threading
import time
from collections.abc import Iterator

import numpy as np
from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from endcap.bundle import Bundle
from endcap.candidates import FEATURES, GENERATED, Crowd, Gathered
from endcap.input_figures import InputCounts, InputFigures

_LABELS = ("model", "feature", "bin")
_EVERY_S = 0.01
_SOURCES = ("bought", "in_history", *FEATURES[GENERATED:])
_COLUMNS = [
    FEATURES.index("times_bought"),
    FEATURES.index("in_history"),
    *range(GENERATED, len(FEATURES)),
]


class InputWatch(Collector):
    """Counts by model, feature and bin. Nothing but arrays is touched while lists are made; series
    are built when somebody asks for them."""

    def __init__(self) -> None:
        self._counts: dict[str, InputCounts] = {}
        self._references: dict[str, InputFigures | None] = {}
        self._named = np.zeros(len(_SOURCES), np.int64)
        self._by_nobody = 0
        self._counted_at = 0.0
        self._one_at_a_time = threading.Lock()

    def count(self, bundle: Bundle, crowd: Crowd, found: Gathered) -> None:
        """Sessions that `bundle` is asked for, and which source named the first one's candidates;
        nothing where a batch was counted just now."""
        now = time.monotonic()
        if now - self._counted_at < _EVERY_S:
            return
        self._counted_at = now
        name = bundle.manifest.name
        with self._one_at_a_time:
            counts = self._counts.setdefault(name, InputCounts())
            self._references[name] = bundle.manifest.inputs
            counts.add(crowd, bundle.fifths)
            named = found.features[: found.offsets[1], _COLUMNS] != 0
            self._named += np.count_nonzero(named, axis=0)
            self._by_nobody += int(np.count_nonzero(~named.any(axis=1)))

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """As Prometheus reads it."""
        counted = CounterMetricFamily(
            "endcap_model_input_sessions", "Sessions scored, by feature and bin", labels=_LABELS
        )
        reference = GaugeMetricFamily(
            "endcap_model_input_reference_share",
            "Of the training's questions, the share in each bin, as the bundle holds it",
            labels=_LABELS,
        )
        known = GaugeMetricFamily(
            "endcap_model_input_reference_known",
            "1 where the bundle holds such shares; 0: its drift cannot be told, train it again",
            labels=("model",),
        )
        sources = CounterMetricFamily(
            "endcap_candidates_by_source",
            "Candidates that a source named, of a sample; several may name the same one",
            labels=("source",),
        )
        with self._one_at_a_time:
            for source, count in zip(_SOURCES, self._named.tolist(), strict=True):
                sources.add_metric((source,), count)
            sources.add_metric(("popular",), self._by_nobody)
            for name, counts in self._counts.items():
                for feature, bins in counts.by_bin().items():
                    for each, count in bins.items():
                        counted.add_metric((name, feature, each), count)
            for name, figures in self._references.items():
                known.add_metric((name,), float(figures is not None))
                for feature, shares in (figures.shares if figures else {}).items():
                    for each, share in shares.items():
                        reference.add_metric((name, feature, each), share)
        yield from (counted, reference, known, sources)


INPUTS = InputWatch()
"""The process's own."""
REGISTRY.register(INPUTS)
