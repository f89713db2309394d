"""Read another process's /metrics: counters, and quantiles of its histograms."""

import urllib.request
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(port: int, host: str = "127.0.0.1", timeout_s: float = 2.0) -> Samples:
    """All samples of a process; empty while it does not answer yet."""
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=timeout_s) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(samples: Samples, name: str, labels: Mapping[str, str] | None = None) -> float:
    """The sum of a counter over all its label values that match."""
    wanted = set((labels or {}).items())
    return sum(v for (n, held), v in samples.items() if n == name and wanted <= set(held))


def buckets(samples: Samples, name: str) -> dict[float, float]:
    """Cumulative counts by upper bound."""
    return {
        float(dict(held)["le"]): value
        for (n, held), value in samples.items()
        if n == f"{name}_bucket"
    }


def quantile(after: dict[float, float], before: dict[float, float], q: float) -> float | None:
    """A quantile of what was observed between two scrapes, linear within its bucket.

    None where nothing was observed. The same rule as Prometheus' `histogram_quantile`.

    >>> quantile({1.0: 2, 2.0: 4, float("inf"): 4}, {}, 0.75)
    1.5
    """
    counts = [(bound, after[bound] - before.get(bound, 0.0)) for bound in sorted(after)]
    if not counts or counts[-1][1] <= 0:
        return None
    rank = q * counts[-1][1]
    lower, below = 0.0, 0.0
    for bound, cumulative in counts:
        if cumulative >= rank:
            if bound == float("inf"):
                return lower
            share = (rank - below) / (cumulative - below) if cumulative > below else 1.0
            return lower + (bound - lower) * share
        lower, below = bound, cumulative
    return lower
