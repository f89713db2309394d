"""What may be learned from and what is asked, by the protocols of the field."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from endcap.counted import counted
from endcap.errors import DataError
from endcap.events import EventType
from endcap.export.data.interactions import Cuts, DataSet, Interactions, LongArray, Split
from endcap.export.data.interactions_writer import InteractionsWriter
from endcap.export.data.questions import (
    BLOCK_EVENTS,
    Groups,
    Mask,
    Part,
    Places,
    QuestionsWriter,
    blocks,
    group,
    known_events,
)

PROTOCOLS = ("time", "next-item", "leave-one-out")

TEST_SHARE = 0.1
"""Of all events, the last; as many before them are validation. A share of the events, not of the
time: one stray date would stretch the time, and a growing shop has most of its events late."""

_SAMPLED_TIMES = 1 << 24
"""Of more events than this, every second, third, ... is looked at to find the dates of the cuts."""

_PURCHASE = EventType.PURCHASE.code
_TAKEN_OUT = EventType.REMOVE_FROM_CART.code


class _Plan(NamedTuple):
    """Of a block's sequences: where learning ends in each [S], and what is asked."""

    train_until: LongArray
    known_until: LongArray
    validation: Part
    test: Part


_Planner = Callable[[Interactions, Groups], _Plan]


def split(
    data: DataSet, protocol: str, cuts: Cuts | None = None, block_events: int = BLOCK_EVENTS
) -> Split:
    """Divide a data set by one of `PROTOCOLS`, after `cuts` or else its own.

    A question is a group of events with the history before it: one event, or all lines of one
    purchase (equal sequence, time and session). The first group of a sequence is no question, nor
    is one whose history holds no item that may be known, nor an item taken out of the cart.

    - `time`: each group from `cuts.validation_from` on is asked, from `cuts.test_from` on in the
      test; `train` and `known` end before them. Where there are no `cuts`: the last 10 % of the
      events and the 10 % before. Where all events are purchases a question comes at the time of the
      basket; else right after the event before it, because that is when a list is made, though
      never before its part begins.
    - `next-item`: sequences that begin at or after `cuts.test_from` are prefixes with their target
      as the last item. Sequences from `cuts.validation_from` on are validation, asked after each
      of their events. `known` is all that is not test.
    - `leave-one-out`: of each sequence of 3 groups or more the last is the test and the one
      before it validation; `known` is `train`.

    In `time` histories and targets hold what `train` or `known` never met: a shopper comes back to
    what is new in the shop. In the others, as their authors have it, such an item is 0 in
    validation's targets and absent from its histories, likewise in the test; but the test keeps
    what the shop's own file of items offers: a model may place it by its text. Where the events are
    memory-mapped files, so are those of the split, in folders beside them.

    1. By blocks of sequences, keep what may be learned from and note its items.
    2. Only then, by the same blocks, keep the histories and targets that those items allow.

    Raises:
        DataError: an unknown protocol, one that the data cannot serve, or a part without a
            question.
    """
    events = data.interactions
    plan = _planner(data, protocol, cuts or data.cuts, block_events)
    folder = _folder_of(events)
    train = _Learned(len(data.items), folder and folder / protocol / "train")
    known = train
    if protocol != "leave-one-out":
        known = _Learned(len(data.items), folder and folder / protocol / "known")
    for block in blocks(events, block_events):
        parts = plan(block.events, group(block.events))
        train.append(block.events, parts.train_until)
        if known is not train:
            known.append(block.events, parts.known_until)

    validated, tested = train.seen, known.seen | _offered(data)
    if protocol == "time":
        validated = tested = np.arange(len(data.items) + 1) > 0
    validation = QuestionsWriter(validated, folder and folder / protocol / "validation")
    test = QuestionsWriter(tested, folder and folder / protocol / "test")
    for block in blocks(events, block_events):
        groups = group(block.events)
        parts = plan(block.events, groups)
        validation.append(block, groups, parts.validation)
        test.append(block, groups, parts.test)

    learned = train.events.finish()
    also_learned = learned if known is train else known.events.finish()
    return _checked(
        data.name, Split(protocol, learned, validation.finish(), also_learned, test.finish())
    )


def _offered(data: DataSet) -> Mask:
    offered = np.zeros(len(data.items) + 1, bool)
    offered[data.offered] = True
    return offered


def _folder_of(events: Interactions) -> Path | None:
    if isinstance(events.items, np.memmap) and events.items.filename is not None:
        return Path(events.items.filename).parent
    return None


class _Learned:
    """What may be learned from, and which items are in it [n_items + 1]."""

    def __init__(self, n_items: int, folder: Path | None) -> None:
        self.events = InteractionsWriter(folder)
        self.seen = np.zeros(n_items + 1, bool)

    def append(self, events: Interactions, until: LongArray) -> None:
        learned = known_events(events, until)
        self.seen[learned.items] = True
        self.events.append(learned)


def _planner(data: DataSet, protocol: str, cuts: Cuts | None, block_events: int) -> _Planner:
    events = data.interactions
    match protocol:
        case "time":
            cuts = cuts or cuts_after(events.times_ms, 1 - 2 * TEST_SHARE, 1 - TEST_SHARE)
            if cuts.validation_from >= cuts.test_from:
                raise DataError(
                    "Validation must begin before the test: give --validation-from an earlier "
                    "date than --test-from."
                )
            baskets_alone = all(
                bool((block.events.types == _PURCHASE).all())
                for block in blocks(events, block_events)
            )
            return partial(_by_time, cuts=cuts, baskets_alone=baskets_alone)
        case "next-item":
            if cuts is None:
                raise DataError(
                    f"{data.name} has no test prefixes of its own, which next-item completes. "
                    "Use --format sr-gnn for data that has, or --protocol time."
                )
            return partial(_by_prefix, cuts=cuts)
        case "leave-one-out":
            return _by_last
        case _:
            raise DataError(f"There is no protocol {protocol!r}; known: {', '.join(PROTOCOLS)}.")


def _by_time(events: Interactions, groups: Groups, cuts: Cuts, baskets_alone: bool) -> _Plan:
    times = events.times_ms[groups.starts]
    before = times if baskets_alone else events.times_ms[np.maximum(groups.starts - 1, 0)]
    asked = ~groups.is_first & (events.types[groups.starts] != _TAKEN_OUT)
    in_test = times >= cuts.test_from
    validated = np.flatnonzero(asked & ~in_test & (times >= cuts.validation_from))
    tested = np.flatnonzero(asked & in_test)
    until_test = _places_of(events, cuts.test_from)
    return _Plan(
        _places_of(events, cuts.validation_from),
        until_test,
        Part(validated, np.maximum(before[validated], cuts.validation_from), until_test),
        Part(tested, np.maximum(before[tested], cuts.test_from), events.offsets[1:]),
    )


def _by_prefix(events: Interactions, groups: Groups, cuts: Cuts) -> _Plan:
    starts, ends = events.offsets[:-1], events.offsets[1:]
    begins = np.full(events.n_sequences, np.iinfo(np.int64).min)
    filled = ends > starts
    begins[filled] = events.times_ms[starts[filled]]
    in_test = begins >= cuts.test_from
    in_validation = ~in_test & (begins >= cuts.validation_from)

    asked = ~groups.is_first
    is_last = groups.ends == ends[groups.sequences]
    validated = np.flatnonzero(asked & in_validation[groups.sequences])
    tested = np.flatnonzero(asked & is_last & in_test[groups.sequences])
    until_test = np.where(in_test, starts, ends)
    return _Plan(
        np.where(in_test | in_validation, starts, ends),
        until_test,
        Part(validated, _times_before(events, groups, validated), until_test),
        Part(tested, _times_before(events, groups, tested), ends),
    )


def _by_last(events: Interactions, groups: Groups) -> _Plan:
    counts = np.bincount(groups.sequences, minlength=events.n_sequences)
    long_enough = counts >= 3
    last = (np.cumsum(counts) - 1)[long_enough]
    ends = events.offsets[1:]
    train_until, until_test = ends.copy(), ends.copy()
    train_until[long_enough] = groups.starts[last - 1]
    until_test[long_enough] = groups.starts[last]
    return _Plan(
        train_until,
        train_until,
        Part(last - 1, _times_before(events, groups, last - 1), until_test),
        Part(last, _times_before(events, groups, last), ends),
    )


def cuts_after(times_ms: LongArray, validation_share: float, test_share: float) -> Cuts:
    """Where so large shares of the events, by time, come before validation and before the test.

    Raises:
        DataError: there are fewer than ten.
    """
    sample = times_ms[:: 1 + times_ms.size // _SAMPLED_TIMES]
    n = sample.size
    if n < 10:
        raise DataError(f"{counted(n, 'event')} cannot be split by time; 10 are the least.")
    places = [int(n * validation_share), int(n * test_share)]
    validation_from, test_from = np.partition(sample, places)[places]
    return Cuts(int(validation_from), int(test_from))


def _times_before(events: Interactions, groups: Groups, chosen: Places) -> LongArray:
    return events.times_ms[groups.starts[chosen] - 1]


def _places_of(events: Interactions, time_ms: int) -> LongArray:
    """The place in each sequence [S] where its events from `time_ms` on begin."""
    earlier = np.concatenate([[0], np.cumsum(events.times_ms < time_ms)])
    starts, ends = events.offsets[:-1], events.offsets[1:]
    places: LongArray = starts + (earlier[ends] - earlier[starts])
    return places


def _checked(name: str, parts: Split) -> Split:
    for part, cases in (("validation", parts.validation), ("the test", parts.test)):
        if not cases.size:
            raise DataError(
                f"By the protocol {parts.protocol} {part} of {name} has no question: no sequence "
                "has events before it and in it. Are there enough events, and do shoppers come "
                "back? Other dates (--validation-from, --test-from) or another protocol may fit."
            )
    return parts
