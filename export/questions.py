"""Questions as the graph takes them: the same fold, the same candidates as in serving."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import IntArray
from endcap.batches import Batch, make_batch
from endcap.candidates import Crowd, Gathered, Gatherer, make_crowd
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

    def number_of(self) -> dict[str, int]:
        """The number of each item in the cases."""
        return {item.item_id: number for number, item in enumerate(self.asked, start=1)}


class Asked(NamedTuple):
    """Which cases [B], their shoppers and candidates. `length`: events that the model reads of a
    history. `numbers` [V + 1]: of the model's items in the cases, 0 where they have none; `strange`
    [B, k]: of each shopper's own ones, 0 for none."""

    rows: npt.NDArray[np.intp]
    crowd: Crowd
    gathered: Gathered
    length: int
    numbers: IntArray
    strange: IntArray

    def batch(self) -> Batch:
        """As the whole graph takes them."""
        return make_batch(self.crowd, self.gathered, self.length)

    def as_asked(self, ids: npt.NDArray[np.integer]) -> IntArray:
        """The model's item indexes [B, N] as the cases number them; 0 for what they do not."""
        known = self.numbers.size - 1
        width = self.strange.shape[1]
        own = np.take_along_axis(
            np.pad(self.strange, ((0, 0), (0, 1))), (ids - known - 1).clip(0, width), axis=1
        )
        found: IntArray = np.where(ids > known, own, self.numbers[np.minimum(ids, known)])
        return found


class Question(NamedTuple):
    """Which case, and the shopper's session when it is asked."""

    row: int
    session: Session
    now_ms: int


def questions(cases: Cases, vocabulary: Vocabulary) -> Iterator[Question]:
    """Sequence by sequence.

    Events are folded as the session worker folds them: what is known of a shopper at a question is
    what a snapshot would hold.
    """
    events = cases.interactions
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
        yield Question(row, session, int(cases.now_ms[row]))


def batches(
    cases: Cases, vocabulary: Vocabulary, generators: Generators, length: int
) -> Iterator[Asked]:
    """Shoppers with near-equal histories together."""
    number_of = vocabulary.number_of()
    known = (number_of.get(item.item_id, 0) for item in vocabulary.known)
    numbers = np.array([0, *known], np.int32)
    met = {
        item.item_id: index
        for index, item in enumerate(vocabulary.known, start=1)
        if generators.met[index]
    }
    gatherer = Gatherer(generators)
    waiting = questions(cases, vocabulary)
    while some := list(islice(waiting, 32 * _ROWS)):
        some.sort(key=lambda each: len(each.session.history))
        for start in range(0, len(some), _ROWS):
            asked = some[start : start + _ROWS]
            crowd = make_crowd(
                [each.session for each in asked],
                [each.now_ms for each in asked],
                met,
                len(vocabulary.known),
            )
            rows = np.array([each.row for each in asked], dtype=np.intp)
            strange = _strange(crowd, number_of)
            yield Asked(rows, crowd, gatherer.gather(crowd), length, numbers, strange)


def _strange(crowd: Crowd, number_of: dict[str, int]) -> IntArray:
    """What each shopper has met and the model has not, as the cases number it."""
    strange = np.zeros((crowd.size, max(map(len, crowd.strange))), np.int32)
    for row, names in enumerate(crowd.strange):
        strange[row, : len(names)] = [number_of[item] for item in names]
    return strange


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
