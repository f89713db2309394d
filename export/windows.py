"""Training windows: pieces of sequences, in batches of near-equal length, so that nobody pays for
padding."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.batches import gap_steps
from endcap.events import EventType
from endcap.export.data.interactions import Interactions, LongArray

_PURCHASE = EventType.PURCHASE.code
_ADD = EventType.ADD_TO_CART.code


class Window(NamedTuple):
    """A batch of windows [B, L], padded on the right with 0: causal attention never sees it."""

    items: npt.NDArray[np.int64]
    types: npt.NDArray[np.int64]
    gaps: npt.NDArray[np.int64]


def epoch_of_windows(
    train: Interactions, length: int, positions: int, rng: np.random.Generator
) -> Iterator[Window]:
    """All events once, in random batches of about `positions` events.

    1. What one purchase held has no order: shuffle it.
    2. Cut long sequences into windows of `length`, from a random start; neighbours share one event.
    3. Sort by length with random ties, cut into batches, shuffle the batches.
    """
    order = _shuffled_baskets(train, rng)
    starts, sizes = _cut(train.offsets, length, rng)
    relabel = not np.any(train.types == _ADD) and bool(np.any(train.types == _PURCHASE))
    ranked = np.lexsort((rng.random(sizes.size), sizes))
    edges = _batch_edges(sizes[ranked], positions)
    for number in rng.permutation(len(edges) - 1):
        rows = ranked[edges[number] : edges[number + 1]]
        window = _gather(train, order, starts[rows], sizes[rows])
        yield _some_as_carted(window, rng) if relabel else window


def n_batches(train: Interactions, length: int, positions: int) -> int:
    """How many batches an epoch has, about: cuts are random."""
    _, sizes = _cut(train.offsets, length, np.random.default_rng(0))
    return len(_batch_edges(np.sort(sizes), positions)) - 1


def _shuffled_baskets(train: Interactions, rng: np.random.Generator) -> LongArray:
    n = train.items.size
    same = np.zeros(n, dtype=bool)
    same[1:] = (
        (train.times_ms[1:] == train.times_ms[:-1])
        & (train.sessions[1:] == train.sessions[:-1])
        & (train.types[1:] == _PURCHASE)
        & (train.types[:-1] == _PURCHASE)
    )
    if not same.any():
        return np.arange(n)
    return np.lexsort((rng.random(n), np.cumsum(~same)))


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
    train: Interactions, order: LongArray, starts: LongArray, sizes: npt.NDArray[np.int64]
) -> Window:
    width = int(sizes.max())
    column = np.arange(width)
    inside = column[None, :] < sizes[:, None]
    places = np.where(inside, starts[:, None] + column[None, :], 0)
    read = order[places]
    times = train.times_ms[read]
    gaps = np.zeros_like(places)
    gaps[:, 1:] = gap_steps(times[:, 1:] - times[:, :-1])
    items = np.where(inside, train.items[read], 0).astype(np.int64)
    known = items != 0
    return Window(
        items, np.where(known, train.types[read], 0).astype(np.int64), np.where(known, gaps, 0)
    )


def _some_as_carted(window: Window, rng: np.random.Generator) -> Window:
    """Live sessions end in what lies in the cart; a data set of purchases alone never shows it."""
    rows, width = window.items.shape
    turn = rng.integers(0, 2 * width + 1, size=(rows, 1))
    is_late = (np.arange(width)[None, :] >= turn) & (window.types == _PURCHASE)
    return Window(window.items, np.where(is_late, _ADD, window.types), window.gaps)
