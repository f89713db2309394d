"""Which training events count as one session for a neighbour."""

from typing import Literal, NamedTuple

import numpy as np

from endcap.arrays import IntArray
from endcap.export.data.interactions import Interactions, LongArray

Unit = Literal["sequence", "session"]
UNITS: tuple[Unit, ...] = ("sequence", "session")
PIECE = 50
"""Events of a sequence that stand together: a household's year of 600 lines is not one visit, and
its neighbours' items would take 20 ms a question."""


class Grouped(NamedTuple):
    """Known events [N], groups together, each oldest first; `groups` rise."""

    items: IntArray
    groups: LongArray
    times_ms: LongArray


def grouped(events: Interactions, unit: Unit) -> Grouped:
    """By visit, or by whole sequence in pieces of `PIECE` events."""
    lengths = np.diff(events.offsets)
    if unit == "session":
        groups = events.sessions.astype(np.int64)
    else:
        within = np.arange(events.items.size) - np.repeat(events.offsets[:-1], lengths)
        pieces = -(-lengths // PIECE)
        first = np.cumsum(pieces) - pieces
        groups = np.repeat(first, lengths) + within // PIECE
    known = events.items != 0
    return Grouped(events.items[known], groups[known], events.times_ms[known])
