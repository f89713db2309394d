"""Slates of a trained sequence model: the whole catalogue scored from the newest state."""

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from endcap.arrays import IntArray
from endcap.export.data.interactions import Cases
from endcap.export.data.slates import SLATE
from endcap.export.opponents.windows import padded

_AT_ONCE = 256
"""Questions scored together: 256 x 43,097 scores are 44 MB."""


class SequenceModel(Protocol):
    """A model of item sequences that ends in a dot product with the items."""

    def states(self, items: Tensor, lengths: Tensor) -> Tensor:
        """States [B, L, d] after each event of `items` [B, L], padded by 0 on the right."""
        ...

    def catalogue(self) -> tuple[Tensor, Tensor]:
        """Vectors [V+1, d] and biases [V+1] of all items."""
        ...

    def train(self, mode: bool = True) -> object:
        """Switch dropout on or off."""
        ...


class SequenceSlates:
    """A ranker from a model, its own from now on, that reads the newest `length` events.

    `taught` [V+1]: the items that training held; of all others it knows nothing but what was drawn
    at its start, and they are never shown.
    """

    def __init__(
        self, model: SequenceModel, taught: npt.NDArray[np.bool_], length: int, exclude_seen: bool
    ) -> None:
        self._model = model
        self._untaught = torch.from_numpy(np.where(taught, 0.0, -np.inf).astype(np.float32))
        model.train(False)
        self._length = length
        self._exclude_seen = exclude_seen

    def slates(self, cases: Cases) -> IntArray:
        """The best items of each case [n, SLATE], best first; 0 where training held fewer."""
        starts = np.maximum(cases.starts(), cases.ends - self._length)
        lengths = cases.ends - starts
        order = np.argsort(lengths, kind="stable")
        slates = np.zeros((cases.size, SLATE), dtype=np.int32)
        with torch.no_grad():
            vectors, biases = self._model.catalogue()
            biases = biases + self._untaught
            for first in range(0, cases.size, _AT_ONCE):
                rows = order[first : first + _AT_ONCE]
                items = padded(cases.interactions.items, starts[rows], lengths[rows])
                states = self._model.states(
                    torch.from_numpy(items), torch.from_numpy(lengths[rows])
                )
                newest = states[torch.arange(rows.size), torch.from_numpy(lengths[rows] - 1)]
                scores = torch.addmm(biases, newest, vectors.T)
                if self._exclude_seen:
                    row, seen = _seen(cases, rows)
                    scores[torch.from_numpy(row), torch.from_numpy(seen)] = -torch.inf
                found = torch.topk(scores, min(SLATE, scores.shape[1]))
                best = torch.where(found.values > -torch.inf, found.indices, 0)
                slates[rows, : best.shape[1]] = best.numpy()
        return slates


def _seen(
    cases: Cases, rows: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    starts = cases.starts()[rows]
    counts = cases.ends[rows] - starts
    row = np.repeat(np.arange(rows.size), counts)
    places = np.arange(row.size) - np.repeat(np.cumsum(counts) - counts, counts) + starts[row]
    return row, cases.interactions.items[places].astype(np.int64)
