"""What may be learned from, and what is asked: nothing that comes later is ever seen before."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.catalogue import CatalogueItem
from endcap.errors import DataError
from endcap.events import EventType
from endcap.export.data.interactions import Cases, Cuts, DataSet, Interactions, Split
from endcap.export.data.interactions_writer import InteractionsWriter
from endcap.export.data.protocols import split

VIEW, BUY, REMOVE = EventType.VIEW_ITEM, EventType.PURCHASE, EventType.REMOVE_FROM_CART
N_ITEMS = 6
CUTS = Cuts(8, 14)


class Did(NamedTuple):
    """An event as a shop would tell it; `visit` counts within the shopper."""

    item: int
    type: EventType
    time: int
    visit: int


Shopper = list[Did]


class Asked(NamedTuple):
    """A question, read out of `Cases`."""

    sequence: int
    history: list[int]
    targets: list[int]
    now: int


@st.composite
def shoppers(draw: st.DrawFn, types: Sequence[EventType]) -> Shopper:
    did: Shopper = []
    time, visit = draw(st.integers(0, 10)), 0
    for _ in range(draw(st.integers(0, 9))):
        time += draw(st.sampled_from([0, 0, 1, 3]))
        visit += draw(st.sampled_from([0, 0, 0, 1]))
        item = draw(st.integers(0, N_ITEMS))
        did.append(Did(item, draw(st.sampled_from(types)), time, visit))
    return did


def shops(*types: EventType) -> st.SearchStrategy[list[Shopper]]:
    """Any shoppers, and some who see to it that each protocol has something to ask."""
    regular = [Did(1, types[0], time, 0) for time in (0, 9, 15)]
    sessions = [[Did(1, types[0], time + step, 0) for step in (0, 1)] for time in (0, 9, 15)]
    return st.lists(shoppers(types), max_size=6).map(lambda shop: [*shop, regular, *sessions])


SHOPS = shops(VIEW, BUY, BUY, REMOVE)


def data_set(shop: list[Shopper], cuts: Cuts | None = CUTS) -> DataSet:
    flat = [(number, did) for number, shopper in enumerate(shop) for did in shopper]
    return DataSet(
        "shop",
        Interactions(
            np.cumsum([0, *(len(shopper) for shopper in shop)]).astype(np.int64),
            np.array([did.item for _, did in flat], np.int32),
            np.array([did.type.code for _, did in flat], np.int8),
            np.array([did.time for _, did in flat], np.int64),
            np.array([number * 100 + did.visit for number, did in flat], np.int32),
        ),
        tuple(f"shopper-{number}" for number in range(len(shop))),
        tuple(CatalogueItem(f"item-{i}", f"Item {i}") for i in range(1, N_ITEMS + 1)),
        {},
        cuts,
    )


def asked(cases: Cases) -> list[Asked]:
    starts = cases.starts()
    return [
        Asked(
            int(cases.sequences[i]),
            cases.interactions.items[starts[i] : cases.ends[i]].tolist(),
            cases.targets[cases.target_offsets[i] : cases.target_offsets[i + 1]].tolist(),
            int(cases.now_ms[i]),
        )
        for i in range(cases.size)
    ]


def learned(interactions: Interactions) -> list[list[int]]:
    return [part.tolist() for part in np.split(interactions.items, interactions.offsets[1:-1])]


def groups_of(shopper: Shopper) -> list[Shopper]:
    groups: list[Shopper] = []
    for did in shopper:
        before = groups[-1][-1] if groups else None
        together = (
            before is not None
            and did.type is before.type is BUY
            and (did.time, did.visit) == (before.time, before.visit)
        )
        if together:
            groups[-1].append(did)
        else:
            groups.append([did])
    return groups


def plain_question(
    number: int, shopper: Shopper, place: int, group: Shopper, now: int, known: set[int]
) -> list[Asked]:
    history = [did.item for did in shopper[:place] if did.item in known]
    targets: list[int] = []
    met: set[int] = set()
    for did in group:
        if did.item == 0 or did.item not in met:
            targets.append(did.item if did.item in known else 0)
            met.add(did.item)
    return [Asked(number, history, targets, now)] if history else []


def plain_by_time(shop: list[Shopper]) -> tuple[list[Asked], list[Asked]]:
    """Validation and test by the words of the documentation, event after event."""
    baskets_alone = all(did.type is BUY for shopper in shop for did in shopper)
    parts: tuple[list[Asked], list[Asked]] = ([], [])
    for part, (begins, ends) in enumerate([(8, 14), (14, 10**9)]):
        # What nobody had met before is asked too: a shopper may come back to it.
        known = set(range(1, N_ITEMS + 1))
        for number, shopper in enumerate(shop):
            place = 0
            for group in groups_of(shopper):
                time = group[0].time
                if place and begins <= time < ends and group[0].type is not REMOVE:
                    now = max(begins, time if baskets_alone else shopper[place - 1].time)
                    parts[part].extend(plain_question(number, shopper, place, group, now, known))
                place += len(group)
    return parts


@given(SHOPS | shops(BUY))
def test_by_time_each_group_of_events_is_asked_with_what_came_before_it(
    shop: list[Shopper],
) -> None:
    parts = split(data_set(shop), "time")

    assert (asked(parts.validation), asked(parts.test)) == plain_by_time(shop)


@given(SHOPS)
def test_by_time_no_row_that_is_learned_from_is_later_than_the_split(shop: list[Shopper]) -> None:
    parts = split(data_set(shop), "time")

    assert (parts.train.times_ms < CUTS.validation_from).all()
    assert (parts.known.times_ms < CUTS.test_from).all()
    assert learned(parts.train) == [[d.item for d in s if d.time < 8 and d.item] for s in shop]
    assert learned(parts.known) == [[d.item for d in s if d.time < 14 and d.item] for s in shop]


@given(SHOPS)
def test_no_question_is_asked_before_its_part_begins_or_before_its_history_ends(
    shop: list[Shopper],
) -> None:
    parts = split(data_set(shop), "time")

    for cases, begins in ((parts.validation, 8), (parts.test, 14)):
        assert (cases.now_ms >= begins).all()
        assert (cases.interactions.times_ms[cases.ends - 1] <= cases.now_ms).all()


def same_but_later(shop: list[Shopper], begins: int, item: int) -> list[Shopper]:
    return [[did._replace(item=item) if did.time >= begins else did for did in s] for s in shop]


@given(SHOPS, st.integers(1, N_ITEMS))
def test_by_time_what_comes_later_changes_nothing_before(shop: list[Shopper], item: int) -> None:
    """However the test's own events are changed, training and validation stay as they are."""
    one = split(data_set(shop), "time")
    other = split(data_set(same_but_later(shop, 14, item)), "time")
    assert_equal_events(one.train, other.train)
    assert_equal_events(one.known, other.known)
    assert asked(one.validation) == asked(other.validation)
    assert_equal_events(one.validation.interactions, other.validation.interactions)

    other = split(data_set(same_but_later(shop, 8, item)), "time")
    assert_equal_events(one.train, other.train)


@given(SHOPS)
def test_leave_one_out_asks_the_last_group_and_the_one_before(shop: list[Shopper]) -> None:
    parts = split(data_set(shop), "leave-one-out")

    train = [
        [did for group in (groups[:-2] if len(groups) > 2 else groups) for did in group]
        for groups in map(groups_of, shop)
    ]
    known = {did.item for shopper in train for did in shopper if did.item}
    expected: list[list[Asked]] = [[], []]
    for number, shopper in enumerate(shop):
        groups = groups_of(shopper)
        for part, back in enumerate((2, 1)):
            if len(groups) > 2:
                place = sum(len(group) for group in groups[:-back])
                now = shopper[place - 1].time
                expected[part] += plain_question(number, shopper, place, groups[-back], now, known)
    assert learned(parts.train) == [[did.item for did in s if did.item] for s in train]
    assert parts.known is parts.train
    assert [asked(parts.validation), asked(parts.test)] == expected


@given(SHOPS, st.integers(1, N_ITEMS))
def test_leave_one_out_lets_no_target_into_training_or_validation(
    shop: list[Shopper], item: int
) -> None:
    one = split(data_set(shop), "leave-one-out")
    changed = []
    for shopper in shop:
        groups = groups_of(shopper)
        if len(groups) > 2:
            groups[-1] = [did._replace(item=item) for did in groups[-1]]
        changed.append([did for group in groups for did in group])
    other = split(data_set(changed), "leave-one-out")

    assert_equal_events(one.train, other.train)
    assert asked(one.validation) == asked(other.validation)
    assert [q.history for q in asked(one.test)] == [q.history for q in asked(other.test)]


SESSIONS = st.lists(st.lists(st.integers(1, N_ITEMS), max_size=5), min_size=20, max_size=20).map(
    lambda sessions: [[1, 2], *sessions[1:8], [1, 2], *sessions[9:14], [1, 2], *sessions[15:]]
)


@given(SESSIONS)
def test_next_item_asks_the_last_item_of_test_prefixes_and_every_item_of_later_sessions(
    sessions: list[list[int]],
) -> None:
    shop = [[Did(i, VIEW, n, 0) for i in items] for n, items in enumerate(sessions)]
    parts = split(data_set(shop), "next-item")

    train, known = ({i for s in sessions[:end] for i in s} for end in (8, 14))
    assert learned(parts.train) == [*sessions[:8], *[[]] * 12]
    assert learned(parts.known) == [*sessions[:14], *[[]] * 6]
    assert asked(parts.validation) == [
        question
        for n in range(8, 14)
        for place in range(1, len(shop[n]))
        for question in plain_question(n, shop[n], place, shop[n][place : place + 1], n, train)
    ]
    assert asked(parts.test) == [
        question
        for n in range(14, 20)
        if len(shop[n]) > 1
        for question in plain_question(n, shop[n], len(shop[n]) - 1, shop[n][-1:], n, known)
    ]


@given(SHOPS, st.sampled_from(["time", "leave-one-out", "next-item"]), st.integers(1, 8))
def test_blocks_of_sequences_divide_as_the_whole_does(
    shop: list[Shopper], protocol: str, block_events: int
) -> None:
    whole = split(data_set(shop), protocol)
    by_blocks = split(data_set(shop), protocol, block_events=block_events)

    assert_equal_splits(whole, by_blocks)


def test_a_data_set_on_disk_is_divided_into_files_beside_it(tmp_path: Path) -> None:
    shop = [[Did(1 + n % 3, VIEW, n * 2, 0) for n in range(10)] for _ in range(5)]
    in_memory = data_set(shop)
    writer = InteractionsWriter(tmp_path)
    writer.append(in_memory.interactions)
    on_disk = in_memory._replace(interactions=writer.finish())

    parts = split(on_disk, "time", block_events=10)
    assert_equal_splits(parts, split(in_memory, "time"))
    for events in (parts.train, parts.known, parts.test.interactions):
        assert isinstance(events.items, np.memmap)

    split(on_disk, "time", Cuts(2, 4))  # written anew while the first is still in use
    assert_equal_splits(parts, split(in_memory, "time"))


def test_an_item_that_the_shop_offers_may_be_asked_for_though_no_event_before_named_it() -> None:
    """In leave-one-out, where the authors' own sets leave nothing new for the end."""
    shop = [
        [Did(1, VIEW, 0, 0), Did(1, VIEW, 1, 0), Did(2, VIEW, 2, 1), Did(3, VIEW, 3, 1)],
        [Did(1, VIEW, time, 0) for time in (0, 9, 15)],
    ]
    data = data_set(shop)
    parts = split(data, "leave-one-out")
    first, second = asked(parts.test)
    assert (first.history, first.targets, second.targets) == ([1, 1], [0], [1])
    offered = split(data._replace(offered=np.array([2, 3], np.int32)), "leave-one-out")
    first, second = asked(offered.test)
    assert (first.history, first.targets, second.targets) == ([1, 1, 2], [3], [1])
    assert_equal_splits(parts, offered._replace(test=parts.test))


def test_by_time_a_shopper_may_be_asked_for_what_is_new_in_the_shop() -> None:
    shop = [
        [Did(1, VIEW, 0, 0), Did(2, VIEW, 15, 1), Did(2, BUY, 16, 1)],
        [Did(1, VIEW, time, 0) for time in (0, 9, 15)],
    ]
    parts = split(data_set(shop), "time")
    assert 2 not in parts.known.items
    first, second, _ = asked(parts.test)
    assert (first.targets, second.history, second.targets) == ([2], [1, 2], [2])


def test_without_cuts_the_last_tenths_of_the_events_are_asked() -> None:
    shop = [[Did(1, VIEW, 10 * n + s, 0) for n in range(10)] for s in range(10)]
    parts = split(data_set(shop, None), "time")

    assert (parts.train.items.size, parts.known.items.size) == (80, 90)
    assert (parts.validation.size, parts.test.size) == (10, 10)


@pytest.mark.parametrize(
    ("shop", "protocol", "cuts", "reason"),
    [
        ([[Did(1, VIEW, 1, 0)] * 20], "random", CUTS, "no protocol 'random'; known: time"),
        ([[Did(1, VIEW, 1, 0)] * 20], "next-item", None, "no test prefixes of its own"),
        ([[Did(1, VIEW, 1, 0)] * 5], "time", None, "5 events cannot be split by time"),
        ([[Did(1, VIEW, 1, 0)] * 20], "time", Cuts(9, 9), "Validation must begin before"),
        ([[Did(1, VIEW, 1, 0)] * 20], "time", CUTS, "validation of shop has no question"),
        ([[Did(1, VIEW, 1, 0)] * 2], "leave-one-out", CUTS, "has no question"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(
    shop: list[Shopper], protocol: str, cuts: Cuts | None, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        split(data_set(shop, None), protocol, cuts)


def assert_equal_events(one: Interactions, other: Interactions) -> None:
    for column, same in zip(one, other, strict=True):
        np.testing.assert_array_equal(column, same)


def assert_equal_splits(one: Split, other: Split) -> None:
    assert_equal_events(one.train, other.train)
    assert_equal_events(one.known, other.known)
    for cases, same in ((one.validation, other.validation), (one.test, other.test)):
        assert_equal_events(cases.interactions, same.interactions)
        for column, like in zip(cases[1:], same[1:], strict=True):
            np.testing.assert_array_equal(column, like)
