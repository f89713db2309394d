"""What answers say of items: how old it may be, and that it is joined without decoding or with."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from endcap.catalogue import CatalogueItem
from endcap.errors import StoreUnavailableError
from endcap.lists import ListItem, RecommendationList, encode_list
from endcap.rules import RuleSet
from endcap.serving import shown_items
from endcap.serving.memory_store import MemoryStore
from endcap.serving.shop_rules import ShopRules
from endcap.serving.shown_items import MAX_AGE_S, RENEW_S, ShownItems, tail_of
from endcap.serving.shown_list import ReadyList, ShownList, row_ids, shown
from endcap.serving.tails import HEAD_OF_OWN, PlainTails

native = pytest.importorskip("endcap.serving.native_rows", reason="built by a C compiler")


class Clock:
    def __init__(self) -> None:
        self.now = 1_764_000_000.0

    def __call__(self) -> float:
        return self.now


class Counting(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []
        self.is_away = False

    async def items(self, ids: Sequence[str]) -> dict[str, CatalogueItem]:
        self.asked.append(sorted(ids))
        if self.is_away:
            raise StoreUnavailableError
        return await super().items(ids)


def items_of(store: MemoryStore, clock: Clock) -> ShownItems:
    return ShownItems(store, ShopRules(), "default", clock)


async def test_a_price_is_read_again_when_it_is_old() -> None:
    store, clock = MemoryStore(), Clock()
    items = items_of(store, clock)
    await store.write_items([CatalogueItem("milk", "Milk", price=1.0)])
    assert b'"price":1.0' in (await items.tails_of(["milk"]))["milk"]
    await store.write_items([CatalogueItem("milk", "Milk", price=2.0)])
    clock.now += RENEW_S - 0.1
    assert b'"price":1.0' in (await items.tails_of(["milk", "new"]))["milk"]
    clock.now += MAX_AGE_S - RENEW_S + 0.2
    assert len(items.tails()) == 0
    assert b'"price":2.0' in (await items.tails_of(["milk"]))["milk"]


async def test_no_more_than_about_the_bound_is_kept() -> None:
    items = items_of(MemoryStore(), Clock())
    for turn in range(3):
        ids = [f"{turn}-{n}" for n in range(shown_items.MAX_ITEMS // 2 + 1)]
        assert list(await items.tails_of(ids)) == ids
    assert len(items.tails()) <= shown_items.MAX_ITEMS * 1.5 + 3
    assert "0-0" not in items.tails()


async def test_what_is_sold_out_is_known_and_not_shown() -> None:
    store = MemoryStore()
    items = items_of(store, Clock())
    await store.write_items(
        [CatalogueItem("milk", "Milk", "Dairy", stock=0), CatalogueItem("tea", "Tea")]
    )
    assert await items.out_of(["milk", "tea", "new"]) == {"milk": "sold_out"}
    tails = items.tails()
    assert [name in tails for name in ("milk", "tea", "new")] == [False, True, True]
    assert b'"title":"Milk"' in (await items.tails_of(["milk"]))["milk"]


async def test_what_was_shown_is_read_anew_beside_and_what_was_not_is_forgotten() -> None:
    store, clock = Counting(), Clock()
    items = items_of(store, clock)
    await store.write_items([CatalogueItem("milk", "Milk", price=1.0), CatalogueItem("tea", "Tea")])
    await items.out_of(["tea"])  # looked at, not shown
    await items.tails_of(["milk"])
    await store.write_items([CatalogueItem("milk", "Milk", price=2.0)])
    clock.now += RENEW_S
    assert b'"price":1.0' in items.tails()["milk"]  # nobody waits
    await asyncio.sleep(0)
    tails = items.tails()
    assert b'"price":2.0' in tails["milk"]
    assert "tea" not in tails
    assert store.asked == [["tea"], ["milk"], ["milk"]]
    clock.now += RENEW_S - 0.1
    assert items.tails() is tails


async def test_what_is_not_shown_for_a_while_is_read_a_few_times_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shown_items, "RENEW_S", 0.05)
    store = Counting()
    items = ShownItems(store, ShopRules(), "default", time.time)
    await items.tails_of(["milk", "tea"])
    await asyncio.sleep(0.1)
    assert {*items.tails().asked_for()} == set()
    assert len(items.tails()) == 2  # by itself: nobody has asked
    await asyncio.sleep(0.5)
    assert store.asked == [["milk", "tea"], *[["milk", "tea"]] * 3]
    assert len(items.tails()) == 0


async def test_a_store_that_is_away_is_asked_again_and_what_is_known_holds_a_while() -> None:
    store, clock = Counting(), Clock()
    items = items_of(store, clock)
    await items.tails_of(["milk"])
    store.is_away = True
    clock.now += RENEW_S
    for asked in (2, 2, 3):
        items.tails()
        await asyncio.sleep(0)
        assert len(store.asked) == asked
        clock.now += 0.3
    assert "milk" in items.tails()
    store.is_away = False
    clock.now += 0.01
    items.tails()
    await asyncio.sleep(0)
    assert len(store.asked) == 3  # not again so soon
    clock.now += 0.2
    assert len(items.tails()) == 0  # too old by now


async def test_other_rules_forget_at_once_what_is_being_read() -> None:
    store, clock, shop = Counting(), Clock(), ShopRules()
    items = ShownItems(store, shop, "default", clock)
    await items.tails_of(["milk"])
    clock.now += RENEW_S
    items.tails()
    shop.replace(RuleSet())
    assert len(items.tails()) == 0
    await asyncio.sleep(0)
    assert len(items.tails()) == 0


def tails_of(kind: Any, ids: Sequence[str], item: CatalogueItem | None) -> Any:
    tails = kind()
    for item_id in ids:
        tails[item_id] = tail_of(item)
    return tails


@given(st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=5)), max_size=700))
def test_the_compiled_table_holds_what_a_dict_holds(pairs: list[tuple[str, bytes]]) -> None:
    plain, compiled = PlainTails(), native.Tails()
    for item_id, tail in pairs:
        plain[item_id] = compiled[item_id] = tail
        assert compiled[item_id] == tail
    ids = {item_id for item_id, _ in pairs}
    assert len(plain) == len(compiled) == len(ids)
    assert [plain[each] for each in ids] == [compiled[each] for each in ids]
    assert set(plain.asked_for()) == set(compiled.asked_for()) == ids
    for tails in (plain, compiled):
        assert "absent" not in tails
        with pytest.raises(KeyError):
            tails["absent"]


words = st.text(max_size=12)
rows = st.builds(
    ListItem,
    words,
    st.floats(allow_nan=False, allow_infinity=False),
    words,
    st.sampled_from([1.0, 0.25]),
)
lists = st.builds(
    RecommendationList,
    st.integers(0, 2**53),
    words,
    st.integers(0, 2**53),
    st.lists(rows, max_size=6).map(tuple),
    words,
)


@given(lists, st.booleans())
@example(RecommendationList(1, "", 2, (ListItem("a", 1.0, 'x"},{"id":"b'),)), True)
@example(RecommendationList(1, '"items":[{', 2, (ListItem("a\\", 1.0, "\\"),), "items"), True)
def test_rows_found_in_bytes_are_those_that_are_decoded(
    ready: RecommendationList, has_facts: bool
) -> None:
    raw = encode_list(ready)
    ids = [item.id for item in ready.items]
    assert row_ids(raw) == ids
    assert native.row_ids(raw) in (ids, None)
    is_plain = all(msgspec.json.encode(item_id)[1:-1] == item_id.encode() for item_id in ids)
    assert (native.row_ids(raw) is None) == (not is_plain)
    item = CatalogueItem("", 'Milk "1 l"', "Dairy", price=1.19) if has_facts else None
    by_decoding = shown("own", raw, dict.fromkeys(ids, tail_of(item)))
    plain, compiled = tails_of(PlainTails, ids, item), tails_of(native.Tails, ids, item)
    assert plain.joined(HEAD_OF_OWN, raw) == by_decoding
    assert compiled.joined(HEAD_OF_OWN, raw) == (by_decoding if is_plain else None)
    assert set(plain.asked_for()) == set(ids)
    assert set(compiled.asked_for()) == (set(ids) if is_plain else set())
    answer = msgspec.json.decode(by_decoding, type=ShownList)
    assert (answer.source, answer.version, answer.model) == ("own", ready.version, ready.model)
    assert [(row.id, row.score, row.reason) for row in answer.items] == [
        (row.id, row.score, row.reason) for row in ready.items
    ]
    assert {row.title for row in answer.items} <= ({item.title} if item else {msgspec.UNSET})
    if ids and is_plain:
        for kind in (PlainTails, native.Tails):
            others = [each for each in ids if each != ids[-1]]
            assert tails_of(kind, others, item).joined(HEAD_OF_OWN, raw) is None


@given(lists, st.data())
def test_a_value_that_was_cut_or_changed_is_left_to_the_decoder(
    ready: RecommendationList, data: st.DataObject
) -> None:
    raw = encode_list(ready)
    assert native.row_ids(raw[: data.draw(st.integers(0, len(raw) - 1))]) is None
    at, byte = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(0, 255))
    changed = raw[:at] + bytes([byte]) + raw[at + 1 :]
    ids = native.row_ids(changed)  # whatever it says, it reads nothing beyond the end
    assert ids is None or len(ids) <= len(ready.items) + 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{}",
        b"[]",
        b'{"items":[]',
        b'{"items":[}',
        b'{"items":[{"id":"a"}',
        b'{"items": []}',
    ],
)
def test_what_is_no_list_of_ours_is_found_by_nobody(raw: bytes) -> None:
    assert not native.row_ids(raw)
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(raw, type=ReadyList)
    for kind in (PlainTails, native.Tails):
        assert tails_of(kind, ["a"], None).joined(b"{", raw) is None
