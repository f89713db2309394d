"""A shop in which some items have never been touched: what is learned from, and what is asked."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import IntArray
from endcap.export.data.interactions import Cases, Interactions

Mask = npt.NDArray[np.bool_]


class ColdShop(NamedTuple):
    """`hidden`: item indexes, ascending; no event of `known` and no history of `cases` holds one,
    and every target of `cases` is one."""

    hidden: IntArray
    known: Interactions
    cases: Cases


def hide_items(known: Interactions, asked: Cases, share: float, seed: int) -> ColdShop:
    """Take all events of a random `share` of the known items away; keep the questions about them.

    A question stays where one of its targets is hidden and its history still holds an item.
    """
    rng = np.random.default_rng(seed)
    items = np.unique(known.items[known.items > 0])
    chosen = rng.choice(items, max(1, round(share * items.size)), replace=False)
    hidden = np.zeros(int(max(items.max(), asked.targets.max(initial=0))) + 1, dtype=np.bool_)
    hidden[chosen] = True
    return ColdShop(
        np.sort(chosen).astype(np.int32),
        _without(known, hidden),
        _asked_of(asked, hidden),
    )


def _without(events: Interactions, hidden: Mask) -> Interactions:
    keep = ~hidden[events.items]
    return Interactions(
        _before(keep)[events.offsets],
        events.items[keep],
        events.types[keep],
        events.times_ms[keep],
        events.sessions[keep],
    )


def _asked_of(asked: Cases, hidden: Mask) -> Cases:
    keep = ~hidden[asked.interactions.items]
    histories = _without(asked.interactions, hidden)
    ends = _before(keep)[asked.ends]
    starts = histories.offsets[asked.sequences]
    is_answer = hidden[asked.targets]
    counts = np.add.reduceat(np.append(is_answer, False), asked.target_offsets[:-1])
    counts[np.diff(asked.target_offsets) == 0] = 0
    rows = np.flatnonzero((counts > 0) & (ends > starts))
    of_rows = np.zeros(asked.size, dtype=np.bool_)
    of_rows[rows] = True
    targets = asked.targets[is_answer & np.repeat(of_rows, np.diff(asked.target_offsets))]
    return Cases(
        histories,
        asked.sequences[rows],
        ends[rows],
        asked.now_ms[rows],
        np.concatenate([[0], np.cumsum(counts[rows])]).astype(np.int64),
        targets,
    )


def _before(keep: Mask) -> npt.NDArray[np.int64]:
    """How many are kept before each place [N + 1]."""
    return np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
