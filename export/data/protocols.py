"""What may be learned from and what is asked, by the protocols of the field.

The order in `split`: group events into what is asked at once, choose the groups of each part, cut
the history that may be learned from, and only then look which items it knows.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.bundle import IntArray
from endcap.errors import DataError
from endcap.events import EventType
from endcap.export.data.interactions import Cases, Cuts, DataSet, Interactions, LongArray, Split

PROTOCOLS = ("time", "next-item", "leave-one-out")

TEST_SHARE = 0.1
"""Of all events, the last; as many before them are validation. A share of the events, not of the
time: one stray date would stretch the time, and a growing shop has most of its events late."""

_Mask = npt.NDArray[np.bool_]
_PURCHASE = EventType.PURCHASE.code
_UNASKED = EventType.REMOVE_FROM_CART.code


class _Groups(NamedTuple):
    """What is asked at once [G]: an event, or all that one purchase held; events `starts` up to
    `ends` of sequence `sequences`."""

    starts: LongArray
    ends: LongArray
    sequences: IntArray
    is_first: _Mask


class _Part(NamedTuple):
    """Groups that are asked, and how many events of each sequence [S] their histories may hold."""

    groups: npt.NDArray[np.intp]
    now_ms: LongArray
    until: LongArray


class _Plan(NamedTuple):
    train_until: LongArray
    known_until: LongArray
    validation: _Part
    test: _Part


def split(data: DataSet, protocol: str, cuts: Cuts | None = None) -> Split:
    """Divide a data set by one of `PROTOCOLS`.

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

    An item that `train` does not hold is 0 in validation's targets and absent from its histories;
    likewise `known` and the test.

    Raises:
        DataError: an unknown protocol, one that the data cannot serve, or a part without a
            question.
    """
    planners: dict[str, Callable[[DataSet, _Groups, Cuts | None], _Plan]] = {
        "time": _by_time,
        "next-item": _by_prefix,
        "leave-one-out": _by_last,
    }
    if protocol not in planners:
        raise DataError(f"There is no protocol {protocol!r}; known: {', '.join(PROTOCOLS)}.")
    events = data.interactions
    groups = _groups(events)
    plan = planners[protocol](data, groups, cuts or data.cuts)
    train = _known_events(events, plan.train_until)
    known = train if protocol == "leave-one-out" else _known_events(events, plan.known_until)
    validation = _cases(events, groups, plan.validation, _seen(train, len(data.items)))
    test = _cases(events, groups, plan.test, _seen(known, len(data.items)))
    for name, cases in (("validation", validation), ("test", test)):
        if not cases.size:
            raise DataError(
                f"By the protocol {protocol} nothing of {data.name} can be asked in {name}: no "
                "sequence has events before and within it. Are there enough events, and do "
                "shoppers come back? Other dates (--validation-from, --test-from) or another "
                "protocol may fit."
            )
    return Split(protocol, train, validation, known, test)


def _groups(events: Interactions) -> _Groups:
    n = events.items.size
    fresh = np.ones(n, bool)
    if n:
        bought = np.asarray(events.types) == _PURCHASE
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
    return _Groups(starts, ends, sequences, starts == events.offsets[sequences])


def _by_time(data: DataSet, groups: _Groups, cuts: Cuts | None) -> _Plan:
    events = data.interactions
    cuts = cuts or _last_tenths(events.times_ms)
    if cuts.validation_from >= cuts.test_from:
        raise DataError(
            "Validation must begin before the test: give --validation-from an earlier date than "
            "--test-from."
        )
    times = events.times_ms[groups.starts]
    asked = ~groups.is_first & (events.types[groups.starts] != _UNASKED)
    baskets_alone = bool((np.asarray(events.types) == _PURCHASE).all())
    before = times if baskets_alone else events.times_ms[np.maximum(groups.starts - 1, 0)]
    validated = np.flatnonzero(asked & (times >= cuts.validation_from) & (times < cuts.test_from))
    tested = np.flatnonzero(asked & (times >= cuts.test_from))
    until_test = _count_before(events, cuts.test_from)
    return _Plan(
        _count_before(events, cuts.validation_from),
        until_test,
        _Part(validated, np.maximum(before[validated], cuts.validation_from), until_test),
        _Part(tested, np.maximum(before[tested], cuts.test_from), events.offsets[1:]),
    )


def _by_prefix(data: DataSet, groups: _Groups, cuts: Cuts | None) -> _Plan:
    if cuts is None:
        raise DataError(
            f"{data.name} has no test prefixes of its own, which next-item completes. Use "
            "--format sr-gnn for data that has, or --protocol time."
        )
    events = data.interactions
    begins = np.full(events.n_sequences, np.iinfo(np.int64).min)
    filled = np.diff(events.offsets) > 0
    begins[filled] = events.times_ms[events.offsets[:-1][filled]]
    is_test = begins >= cuts.test_from
    is_validation = (begins >= cuts.validation_from) & ~is_test
    last = groups.ends == events.offsets[1:][groups.sequences]
    validated = np.flatnonzero(~groups.is_first & is_validation[groups.sequences])
    tested = np.flatnonzero(~groups.is_first & last & is_test[groups.sequences])
    starts, ends = events.offsets[:-1], events.offsets[1:]
    return _Plan(
        np.where(is_test | is_validation, starts, ends),
        np.where(is_test, starts, ends),
        _Part(validated, _time_before(events, groups, validated), np.where(is_test, starts, ends)),
        _Part(tested, _time_before(events, groups, tested), ends),
    )


def _by_last(data: DataSet, groups: _Groups, _cuts: Cuts | None) -> _Plan:
    events = data.interactions
    counts = np.bincount(groups.sequences, minlength=events.n_sequences)
    long_enough = counts >= 3
    last = (np.cumsum(counts) - 1)[long_enough]
    train_until, validation_until = events.offsets[1:].copy(), events.offsets[1:].copy()
    train_until[long_enough] = groups.starts[last - 1]
    validation_until[long_enough] = groups.starts[last]
    return _Plan(
        train_until,
        train_until,
        _Part(last - 1, _time_before(events, groups, last - 1), validation_until),
        _Part(last, _time_before(events, groups, last), events.offsets[1:]),
    )


def _last_tenths(times_ms: LongArray) -> Cuts:
    n = times_ms.size
    if n < 10:
        raise DataError(f"{n} events are too few to split by time; 10 are the least.")
    places = [int(n * (1 - 2 * TEST_SHARE)), int(n * (1 - TEST_SHARE))]
    validation_from, test_from = np.partition(times_ms, places)[places]
    return Cuts(int(validation_from), int(test_from))


def _time_before(events: Interactions, groups: _Groups, chosen: npt.NDArray[np.intp]) -> LongArray:
    return np.asarray(events.times_ms[groups.starts[chosen] - 1])


def _count_before(events: Interactions, time_ms: int) -> LongArray:
    """The place in each sequence [S] where its events from `time_ms` on begin."""
    earlier = np.concatenate([[0], np.cumsum(events.times_ms < time_ms)])
    starts, ends = events.offsets[:-1], events.offsets[1:]
    places: LongArray = starts + (earlier[ends] - earlier[starts])
    return places


def _known_events(events: Interactions, until: LongArray) -> Interactions:
    """The events before `until`, without those of items outside the vocabulary."""
    return _keep(events, _is_before(events, until) & (events.items != 0), events.items)


def _seen(learned: Interactions, n_items: int) -> IntArray:
    """Each item's own index where it is in `learned`, else 0 [n_items + 1]."""
    seen = np.zeros(n_items + 1, bool)
    seen[learned.items] = True
    seen[0] = False
    return np.where(seen, np.arange(n_items + 1), 0).astype(np.int32)


def _cases(events: Interactions, groups: _Groups, part: _Part, seen: IntArray) -> Cases:
    """The questions, with histories of known items alone.

    1. Leave out of the histories what is not known, and what the part's own end hides.
    2. Leave out the questions that have nothing left before them.
    3. Collect each group's distinct items as its targets; 0 for each that is not known.
    """
    items = seen[events.items]
    keep = _is_before(events, part.until) & (items != 0)
    kept_before = np.concatenate([[0], np.cumsum(keep)])
    history = _keep(events, keep, items)

    sequences, starts = groups.sequences[part.groups], groups.starts[part.groups]
    ends = kept_before[starts].astype(np.int64)
    rows = ends > history.offsets[sequences]
    sequences, starts, ends = sequences[rows], starts[rows], ends[rows]

    counts = groups.ends[part.groups][rows] - starts
    cases = np.repeat(np.arange(starts.size), counts)
    first = np.cumsum(counts) - counts
    places = np.repeat(starts - first, counts) + np.arange(counts.sum())
    bought = events.items[places]
    once = np.unique(
        np.stack([cases, np.where(bought == 0, -np.arange(bought.size), bought)]),
        axis=1,
        return_index=True,
    )[1]
    once.sort()
    offsets = np.concatenate([[0], np.cumsum(np.bincount(cases[once], minlength=starts.size))])
    return Cases(
        history,
        sequences,
        ends,
        part.now_ms[rows].astype(np.int64),
        offsets.astype(np.int64),
        seen[bought[once]],
    )


def _is_before(events: Interactions, until: LongArray) -> _Mask:
    places = np.arange(events.items.size)
    return np.asarray(places < np.repeat(until, np.diff(events.offsets)))


def _keep(events: Interactions, keep: _Mask, items: IntArray) -> Interactions:
    kept_before = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
    return Interactions(
        kept_before[events.offsets],
        items[keep],
        events.types[keep],
        events.times_ms[keep],
        events.sessions[keep],
    )
