"""From groups of events to the questions of an evaluation, a block of sequences at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import IntArray
from endcap.events import EventType
from endcap.export.data.interactions import Cases, Interactions, LongArray
from endcap.export.data.interactions_writer import InteractionsWriter

BLOCK_EVENTS = 4_000_000
"""What is divided at once: some 50 bytes an event are needed for it."""

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

_PURCHASE = EventType.PURCHASE.code


class Block(NamedTuple):
    """Neighbouring sequences, from number `first` on, with offsets of their own."""

    first: int
    events: Interactions


class Groups(NamedTuple):
    """What is asked at once [G]: an event, or all that one purchase held; events `starts` up to
    `ends` of sequence `sequences`."""

    starts: LongArray
    ends: LongArray
    sequences: IntArray
    is_first: Mask


class Part(NamedTuple):
    """Which groups are asked and when, and up to where histories may reach in each sequence [S]."""

    groups: Places
    now_ms: LongArray
    until: LongArray


def blocks(events: Interactions, most: int) -> Iterator[Block]:
    """All sequences in turn, `most` events or one sequence in each."""
    first = 0
    while first < events.n_sequences:
        fit = int(np.searchsorted(events.offsets, events.offsets[first] + most, side="right")) - 1
        end = max(first + 1, fit)
        lo, hi = int(events.offsets[first]), int(events.offsets[end])
        yield Block(
            first,
            Interactions(
                events.offsets[first : end + 1] - lo,
                events.items[lo:hi],
                events.types[lo:hi],
                events.times_ms[lo:hi],
                events.sessions[lo:hi],
            ),
        )
        first = end


def group(events: Interactions) -> Groups:
    """Lines of a purchase are one group: equal sequence, time and session. All else is alone."""
    n = events.items.size
    fresh = np.ones(n, bool)
    bought = events.types == _PURCHASE
    fresh[1:] = ~(
        bought[1:]
        & bought[:-1]
        & (events.times_ms[1:] == events.times_ms[:-1])
        & (events.sessions[1:] == events.sessions[:-1])
    )
    fresh[events.offsets[:-1][np.diff(events.offsets) > 0]] = True
    starts = np.flatnonzero(fresh).astype(np.int64)
    sequences = (np.searchsorted(events.offsets, starts, side="right") - 1).astype(np.int32)
    ends = np.append(starts[1:], n)
    return Groups(starts, ends, sequences, starts == events.offsets[sequences])


def known_events(events: Interactions, until: LongArray) -> Interactions:
    """The events before `until`, without those of items outside the vocabulary."""
    return _keep(events, _is_before(events, until) & (events.items != 0), events.items)


class QuestionsWriter:
    """Puts the questions of one part together; histories go to `folder` where there is one.

    `seen` [n_items + 1]: whether an item may be known. One that may not is absent from
    histories, and 0 among the targets.
    """

    def __init__(self, seen: Mask, folder: Path | None) -> None:
        self._index = np.where(seen, np.arange(seen.size), 0).astype(np.int32)
        self._histories = InteractionsWriter(folder)
        self._n_events = 0
        self._sequences: list[IntArray] = []
        self._ends: list[LongArray] = []
        self._now_ms: list[LongArray] = []
        self._counts: list[LongArray] = []
        self._targets: list[IntArray] = []

    def append(self, block: Block, groups: Groups, part: Part) -> None:
        """The next block's questions.

        1. Leave out of the histories what is not known, and what the part's own end hides.
        2. Leave out the questions that have nothing left before them.
        3. Collect each group's distinct items as its targets.
        """
        events = block.events
        items = self._index[events.items]
        keep = _is_before(events, part.until) & (items != 0)
        history = _keep(events, keep, items)

        sequences, starts = groups.sequences[part.groups], groups.starts[part.groups]
        ends = _count_before(keep)[starts]
        asked = np.flatnonzero(ends > history.offsets[sequences])
        counts, targets = _targets(events.items, starts[asked], groups.ends[part.groups][asked])

        self._sequences.append(sequences[asked] + np.int32(block.first))
        self._ends.append(ends[asked] + self._n_events)
        self._now_ms.append(part.now_ms[asked])
        self._counts.append(counts)
        self._targets.append(self._index[targets])
        self._histories.append(history)
        self._n_events += history.items.size

    def finish(self) -> Cases:
        """All questions, in the order of their sequences and places."""
        return Cases(
            self._histories.finish(),
            np.concatenate([np.empty(0, np.int32), *self._sequences]),
            np.concatenate([np.empty(0, np.int64), *self._ends]),
            np.concatenate([np.empty(0, np.int64), *self._now_ms]),
            np.cumsum(np.concatenate([[0], *self._counts])).astype(np.int64),
            np.concatenate([np.empty(0, np.int32), *self._targets]),
        )


def _targets(items: IntArray, starts: LongArray, ends: LongArray) -> tuple[LongArray, IntArray]:
    """How many distinct items each group has, and those, in the order of the events. Items outside
    the vocabulary are 0, and each counts: which are equal is not known."""
    counts = ends - starts
    cases = np.repeat(np.arange(starts.size), counts)
    places = np.arange(cases.size) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
    found = items[places].astype(np.int64)
    told_apart = np.where(found == 0, -1 - np.arange(found.size), found)
    order = np.lexsort((told_apart, cases))
    again = np.zeros(found.size, bool)
    again[order[1:]] = (cases[order[1:]] == cases[order[:-1]]) & (
        told_apart[order[1:]] == told_apart[order[:-1]]
    )
    return np.bincount(cases[~again], minlength=starts.size), items[places[~again]]


def _is_before(events: Interactions, until: LongArray) -> Mask:
    return np.asarray(
        np.arange(events.items.size) < np.repeat(until, np.diff(events.offsets)), bool
    )


def _keep(events: Interactions, keep: Mask, items: IntArray) -> Interactions:
    return Interactions(
        _count_before(keep)[events.offsets],
        items[keep],
        events.types[keep],
        events.times_ms[keep],
        events.sessions[keep],
    )


def _count_before(keep: Mask) -> LongArray:
    """How many are kept before each place [N + 1]."""
    return np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
