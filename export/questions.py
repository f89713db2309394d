"""Questions as the graph takes them: the same fold, the same candidates as in serving."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import IntArray
from endcap.batches import Batch, make_batch
from endcap.candidates import Shopper, gather_candidates, shopper_from_session
from endcap.candidates.generators import Generators
from endcap.catalogue import CatalogueItem
from endcap.export.data.interactions import Cases
from endcap.sessions import Act, Session, fold_acts

_ROWS = 256


class Vocabulary(NamedTuple):
    """`asked`: the items that cases number; `known`: those that the model does. Most often they are
    the same."""

    asked: tuple[CatalogueItem, ...]
    known: tuple[CatalogueItem, ...]

    def numbers(self) -> IntArray:
        """For each of the model's items its number in the cases [V + 1]; 0 where it has none."""
        number_of = {item.item_id: number for number, item in enumerate(self.asked, start=1)}
        return np.array([0, *(number_of.get(item.item_id, 0) for item in self.known)], np.int32)


def shoppers(cases: Cases, vocabulary: Vocabulary) -> Iterator[tuple[int, Shopper]]:
    """(which case, the shopper as of its question), sequence by sequence.

    Events are folded as the session worker folds them: what is known of a shopper at a question is
    what a snapshot would hold.
    """
    events = cases.interactions
    index_of = {item.item_id: index for index, item in enumerate(vocabulary.known, start=1)}
    names = ["", *(item.item_id for item in vocabulary.asked)]
    order = np.lexsort((cases.ends, cases.sequences))
    sequence, session, at = -1, Session(""), 0
    for row in order.tolist():
        if cases.sequences[row] != sequence:
            sequence = int(cases.sequences[row])
            session, at = Session(""), int(events.offsets[sequence])
        end = int(cases.ends[row])
        session = fold_acts(session, _acts(cases, names, at, end))
        at = end
        yield row, shopper_from_session(session, index_of, int(cases.now_ms[row]))


def batches(
    cases: Cases, vocabulary: Vocabulary, generators: Generators, length: int
) -> Iterator[tuple[npt.NDArray[np.intp], Batch]]:
    """(which cases, the graph's inputs), shoppers with near-equal histories together."""
    waiting: list[tuple[int, Shopper]] = []
    for each in shoppers(cases, vocabulary):
        waiting.append(each)
        if len(waiting) == 32 * _ROWS:
            yield from _by_length(waiting, generators, length)
            waiting = []
    if waiting:
        yield from _by_length(waiting, generators, length)


def _by_length(
    waiting: list[tuple[int, Shopper]], generators: Generators, length: int
) -> Iterator[tuple[npt.NDArray[np.intp], Batch]]:
    waiting.sort(key=lambda each: each[1].history.size)
    for start in range(0, len(waiting), _ROWS):
        chosen = waiting[start : start + _ROWS]
        asked = [shopper for _, shopper in chosen]
        found = [gather_candidates(shopper, generators) for shopper in asked]
        rows = np.array([row for row, _ in chosen], dtype=np.intp)
        yield rows, make_batch(asked, found, length)


def _acts(cases: Cases, names: list[str], start: int, end: int) -> Iterator[Act]:
    """What one purchase held is one act, so that its items were bought together."""
    events = cases.interactions
    items, types = events.items[start:end].tolist(), events.types[start:end].tolist()
    times, visits = events.times_ms[start:end].tolist(), events.sessions[start:end].tolist()
    at = 0
    while at < len(items):
        same = (times[at], types[at], visits[at])
        last = at + 1
        while last < len(items) and (times[last], types[last], visits[last]) == same:
            last += 1
        known = tuple([names[item] for item in items[at:last] if item])
        if known:
            yield Act(times[at], types[at], b"", known)
        at = last
