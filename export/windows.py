"""Training windows: pieces of sequences, in batches of near-equal length, so that nobody pays for
padding."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.batches import gap_steps
from endcap.events import EventType
from endcap.export.data.interactions import Interactions, LongArray, SmallArray

_PURCHASE = EventType.PURCHASE.code
_ADD = EventType.ADD_TO_CART.code
_BLOCK = 1 << 20
"""Events looked at together where all are looked at."""


class Window(NamedTuple):
    """A batch of windows [B, L], padded on the right with 0: causal attention never sees it."""

    items: npt.NDArray[np.int64]
    types: npt.NDArray[np.int64]
    gaps: npt.NDArray[np.int64]


class EpochOfWindows:
    """All events once, in random batches of about `positions` events.

    1. Cut long sequences into windows of `length`, from a random start; neighbours share one event.
    2. Sort by length with random ties, cut into batches, shuffle the batches.
    3. Where a batch is asked for: read its events; what one purchase held has no order, shuffle it.

    Memory is held by the window, not by the event: `train` may be memory-mapped. `rng` decides
    steps 1 and 2.
    """

    def __init__(
        self, train: Interactions, length: int, positions: int, rng: np.random.Generator
    ) -> None:
        self._train = train
        self._starts, self._sizes = _cut(train.offsets, length, rng)
        self._ranked = np.lexsort((rng.random(self._sizes.size), self._sizes))
        self._edges = _batch_edges(self._sizes[self._ranked], positions)
        self.n_batches = len(self._edges) - 1
        self._order = rng.permutation(self.n_batches)
        self._relabel = not _any(train.types, _ADD) and _any(train.types, _PURCHASE)

    def batch(self, number: int, rng: np.random.Generator) -> Window:
        """Batch `number` of `n_batches`; no other has to be asked for before."""
        place = self._order[number]
        rows = self._ranked[self._edges[place] : self._edges[place + 1]]
        window = _gather(self._train, self._starts[rows], self._sizes[rows], rng)
        return _some_as_carted(window, rng) if self._relabel else window


def n_batches(train: Interactions, length: int, positions: int) -> int:
    """How many batches an epoch has, about: cuts are random."""
    _, sizes = _cut(train.offsets, length, np.random.default_rng(0))
    return len(_batch_edges(np.sort(sizes), positions)) - 1


def _cut(
    offsets: LongArray, length: int, rng: np.random.Generator
) -> tuple[LongArray, npt.NDArray[np.int64]]:
    sizes = np.diff(offsets)
    step = length - 1
    long = np.flatnonzero(sizes > length)
    short = np.flatnonzero((sizes >= 2) & (sizes <= length))
    starts, counts = [offsets[:-1][short]], [sizes[short]]
    if long.size:
        lead = rng.integers(0, step, size=long.size)
        pieces = -(-(sizes[long] - 1 + lead) // step)
        owner = np.repeat(np.arange(long.size), pieces)
        number = np.arange(owner.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        begin = number * step - lead[owner]
        end = np.minimum(begin + length, sizes[long][owner])
        begin = np.maximum(begin, 0)
        keep = end - begin >= 2
        starts.append((offsets[:-1][long][owner] + begin)[keep])
        counts.append((end - begin)[keep])
    return np.concatenate(starts), np.concatenate(counts)


def _batch_edges(sizes: npt.NDArray[np.int64], positions: int) -> list[int]:
    """Cuts of the ascending sizes so that rows times the longest stays near `positions`."""
    edges = [0]
    while edges[-1] < sizes.size:
        start = edges[-1]
        rows = max(1, positions // int(sizes[start]))
        end = min(sizes.size, start + rows)
        # The longest row sets the width: look once more with it.
        end = min(sizes.size, start + max(1, positions // int(sizes[end - 1])))
        edges.append(end)
    return edges


def _gather(
    train: Interactions,
    starts: LongArray,
    sizes: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> Window:
    width = int(sizes.max())
    column = np.arange(width)
    inside = column[None, :] < sizes[:, None]
    places = np.where(inside, starts[:, None] + column[None, :], 0)
    places = _shuffled_baskets(train, places, inside, rng)
    times = train.times_ms[places]
    gaps = np.zeros_like(places)
    gaps[:, 1:] = gap_steps(times[:, 1:] - times[:, :-1])
    items = np.where(inside, train.items[places], 0).astype(np.int64)
    known = items != 0
    return Window(
        items, np.where(known, train.types[places], 0).astype(np.int64), np.where(known, gaps, 0)
    )


def _shuffled_baskets(
    train: Interactions,
    places: LongArray,
    inside: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> LongArray:
    bought = (train.types[places] == _PURCHASE) & inside
    times, sessions = train.times_ms[places], train.sessions[places]
    starts_anew = np.ones_like(inside)
    starts_anew[:, 1:] = ~(
        (times[:, 1:] == times[:, :-1])
        & (sessions[:, 1:] == sessions[:, :-1])
        & bought[:, 1:]
        & bought[:, :-1]
    )
    if starts_anew.all():
        return places
    order = np.lexsort((rng.random(places.shape), np.cumsum(starts_anew, axis=1)), axis=1)
    return np.take_along_axis(places, order, axis=1)


def _any(types: SmallArray, code: int) -> bool:
    blocks = range(0, types.size, _BLOCK)
    return any(bool((types[begin : begin + _BLOCK] == code).any()) for begin in blocks)


def _some_as_carted(window: Window, rng: np.random.Generator) -> Window:
    """Live sessions end in what lies in the cart; a data set of purchases alone never shows it."""
    rows, width = window.items.shape
    turn = rng.integers(0, 2 * width + 1, size=(rows, 1))
    is_late = (np.arange(width)[None, :] >= turn) & (window.types == _PURCHASE)
    return Window(window.items, np.where(is_late, _ADD, window.types), window.gaps)
