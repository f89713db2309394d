"""Questions as the graph takes them: the same fold, the same candidates as in serving."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import IntArray
from endcap.batches import Batch, make_batch
from endcap.candidates import Gatherer, Shopper, shopper_from_session
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
    """Which cases [B], and the graph's inputs. `numbers` [V + 1]: of the model's items in the
    cases, 0 where they have none; `strange` [B, k]: of each shopper's own ones, 0 for none."""

    rows: npt.NDArray[np.intp]
    batch: Batch
    numbers: IntArray
    strange: IntArray

    def as_asked(self, ids: npt.NDArray[np.integer]) -> IntArray:
        """The model's item indexes [B, N] as the cases number them; 0 for what they do not."""
        known = self.numbers.size - 1
        width = self.strange.shape[1]
        own = np.take_along_axis(
            np.pad(self.strange, ((0, 0), (0, 1))), (ids - known - 1).clip(0, width), axis=1
        )
        found: IntArray = np.where(ids > known, own, self.numbers[np.minimum(ids, known)])
        return found


def shoppers(
    cases: Cases, vocabulary: Vocabulary, met: npt.NDArray[np.bool_]
) -> Iterator[tuple[int, Shopper]]:
    """(which case, the shopper as of its question), sequence by sequence.

    Events are folded as the session worker folds them: what is known of a shopper at a question is
    what a snapshot would hold. `met` [V + 1]: what the model knows of.
    """
    events = cases.interactions
    n_items = len(vocabulary.known)
    index_of = {
        item.item_id: index for index, item in enumerate(vocabulary.known, start=1) if met[index]
    }
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
        yield row, shopper_from_session(session, index_of, int(cases.now_ms[row]), n_items)


def batches(
    cases: Cases, vocabulary: Vocabulary, generators: Generators, length: int
) -> Iterator[Asked]:
    """Shoppers with near-equal histories together."""
    number_of = vocabulary.number_of()
    known = (number_of.get(item.item_id, 0) for item in vocabulary.known)
    numbers = np.array([0, *known], np.int32)
    waiting = shoppers(cases, vocabulary, generators.met)
    gatherer = Gatherer(generators)
    while some := list(islice(waiting, 32 * _ROWS)):
        for rows, asked in _by_length(some):
            batch = make_batch(asked, gatherer.gather(asked), length)
            yield Asked(rows, batch, numbers, _strange(asked, number_of))


def _by_length(
    waiting: list[tuple[int, Shopper]],
) -> Iterator[tuple[npt.NDArray[np.intp], list[Shopper]]]:
    waiting.sort(key=lambda each: each[1].history.size)
    for start in range(0, len(waiting), _ROWS):
        chosen = waiting[start : start + _ROWS]
        yield (
            np.array([row for row, _ in chosen], dtype=np.intp),
            [shopper for _, shopper in chosen],
        )


def _strange(asked: list[Shopper], number_of: dict[str, int]) -> IntArray:
    """What each shopper has met and the model has not, as the cases number it."""
    strange = np.zeros((len(asked), max(len(each.strange) for each in asked)), np.int32)
    for row, shopper in enumerate(asked):
        strange[row, : len(shopper.strange)] = [number_of[item] for item in shopper.strange]
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
