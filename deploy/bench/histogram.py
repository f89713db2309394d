"""How often which latency was met."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

_PER_DECADE = 10
_EDGES = 10.0 ** (np.arange(-1 * _PER_DECADE, 5 * _PER_DECADE + 1) / _PER_DECADE)


class Histogram(TypedDict):
    """`counts[n]` values lie from `edges_ms[n]` on and below `edges_ms[n + 1]`."""

    edges_ms: list[float]
    counts: list[int]


def histogram(milliseconds: Sequence[float]) -> Histogram:
    """Ten bins a decade, from the first to the last that holds a value; edges are always of the
    same series, so that histograms of several runs can be laid on one another.

    What is below .1 ms or from 100 s on is counted in the outermost bin. An empty sequence has no
    bin.

    >>> histogram([1.0, 1.1, 2.0])
    {'edges_ms': [1.0, 1.259, 1.585, 1.995, 2.512], 'counts': [2, 0, 0, 1]}
    """
    places = np.searchsorted(_EDGES, np.asarray(milliseconds), side="right") - 1
    counts = np.bincount(np.clip(places, 0, len(_EDGES) - 2), minlength=len(_EDGES) - 1)
    held = np.flatnonzero(counts)
    if not held.size:
        return {"edges_ms": [], "counts": []}
    first, last = int(held[0]), int(held[-1])
    return {
        "edges_ms": [float(f"{edge:.4g}") for edge in _EDGES[first : last + 2]],
        "counts": [int(count) for count in counts[first : last + 1]],
    }
