"""What a model is asked, counted in bins: the same count of training's questions and of today's.

A bundle's manifest holds the shares of its training's questions. How far today's are from them is
told by the population stability index, PSI = sum over bins of (a - r) ln(a / r) (Siddiqi, Credit
Risk Scorecards, 2006): by the usual rule below 0.1 nothing has moved, above 0.25 much has.
"""

import math
from collections.abc import Mapping

import msgspec
import numpy as np

from endcap.arrays import FloatArray, IntArray, LongArray
from endcap.candidates import Crowd
from endcap.events import EventType

_UP_TO = (0, 1, 2, 4, 8, 16, 32)
_FIFTHS = 5
FLOOR = 1e-4
"""A share below it counts as it: an empty bin has no logarithm."""

BINS: dict[str, tuple[str, ...]] = {
    "history_length": ("0", "1", "2", "3-4", "5-8", "9-16", "17-32", "33+"),
    "newest_event": ("none", *(kind.value for kind in EventType)),
    "newest_item": tuple(f"fifth_{n}" for n in range(1, _FIFTHS + 1)),
    "item_met": ("met", "unmet"),
}
"""By feature: events in the history; the newest one's type; its item, where the model knows it, by
which fifth of all events the best sellers, from the first on, reach with it; whether it does."""

Shares = dict[str, dict[str, float]]


class InputFigures(msgspec.Struct, frozen=True):
    """Of `questions` sessions, the share in each bin, by feature."""

    questions: int
    shares: Shares


class InputCounts:
    """Sessions counted by feature and bin; they only rise."""

    def __init__(self) -> None:
        self._counts = {name: np.zeros(len(bins), np.int64) for name, bins in BINS.items()}

    def add(self, crowd: Crowd, fifths: IntArray) -> None:
        """Count the sessions of a crowd; `fifths` [V + 1] as `popularity_fifths` gives them."""
        lengths = np.diff(crowd.history_at)
        asked = lengths > 0
        last = crowd.history_at[1:][asked] - 1
        items = crowd.history[last]
        met = items <= crowd.n_items
        kinds = np.append(crowd.types[last], np.zeros(lengths.size - last.size, np.int32))
        self._count("history_length", np.searchsorted(_UP_TO, lengths))
        self._count("newest_event", kinds)
        self._count("newest_item", fifths[items[met]])
        self._count("item_met", (~met).astype(np.int32))

    def by_bin(self) -> Mapping[str, Mapping[str, int]]:
        """By feature and bin."""
        return {
            name: dict(zip(bins, self._counts[name].tolist(), strict=True))
            for name, bins in BINS.items()
        }

    def figures(self) -> InputFigures:
        """As shares; all 0 where nothing was counted."""
        shares = {
            name: {
                each: round(count / max(1, sum(counts.values())), 6)
                for each, count in counts.items()
            }
            for name, counts in self.by_bin().items()
        }
        return InputFigures(int(self._counts["history_length"].sum()), shares)

    def _count(self, name: str, found: IntArray | LongArray) -> None:
        counts = self._counts[name]
        counts += np.bincount(found, minlength=counts.size)


def popularity_fifths(popularity: FloatArray) -> IntArray:
    """In which fifth of all events an item [V + 1] stands, from 0 for the best sellers, where items
    are put in the order of their popularity; the last one where it has none.

    >>> popularity_fifths(np.array([0, 0.1, 0.6, 0.3, 0.0], np.float32)).tolist()
    [4, 4, 0, 3, 4]
    """
    order = np.argsort(-popularity, kind="stable")
    before = np.cumsum(popularity[order], dtype=np.float64) - popularity[order]
    fifths = np.empty(popularity.size, np.int32)
    fifths[order] = np.minimum(_FIFTHS - 1, before / max(float(popularity.sum()), 1e-9) * _FIFTHS)
    fifths[popularity <= 0] = _FIFTHS - 1
    return fifths


def stability_index(actual: Mapping[str, float], reference: Mapping[str, float]) -> float:
    """The PSI of shares by bin.

    >>> round(stability_index({"a": 0.5, "b": 0.5}, {"a": 0.8, "b": 0.2}), 4)
    0.4159
    """
    pairs = [(max(FLOOR, actual.get(each, 0)), max(FLOOR, r)) for each, r in reference.items()]
    return sum((a - r) * math.log(a / r) for a, r in pairs)
