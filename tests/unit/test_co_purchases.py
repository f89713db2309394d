"""What is bought together: counted once, in two periods of event time, within bounds."""

from collections import Counter
from itertools import permutations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from endcap.co_purchases import MAX_BASKET, Companions, CoPurchases

PERIOD_MS = 1000
BASKETS = st.lists(
    st.tuples(st.lists(st.sampled_from("abcde"), max_size=5), st.integers(0, 5 * PERIOD_MS))
)
Basket = tuple[list[str], int]


def counted(baskets: list[Basket], **bounds: int) -> CoPurchases:
    bought = CoPurchases(PERIOD_MS, **bounds)
    for offset, (items, when_ms) in enumerate(baskets):
        bought.count(items, when_ms, 0, offset)
        bought.age()
    return bought


def companions(bought: CoPurchases, item: str) -> dict[str, int]:
    return dict(bought.top(item, 999, lambda _: True))


def plain(baskets: list[Basket], item: str) -> dict[str, int]:
    newest = max((when_ms // PERIOD_MS for _, when_ms in baskets), default=0)
    pairs = (
        pair
        for items, when_ms in baskets
        if when_ms // PERIOD_MS >= newest - 1
        for pair in permutations(set(items), 2)
    )
    return dict(Counter(other for one, other in pairs if one == item))


@given(BASKETS)
def test_pairs_of_the_newest_two_periods_count(baskets: list[Basket]) -> None:
    bought = counted(baskets)
    assert all(companions(bought, item) == plain(baskets, item) for item in "abcde")


@given(st.data(), BASKETS)
def test_the_order_of_purchases_does_not_matter(data: st.DataObject, baskets: list[Basket]) -> None:
    shuffled = counted(data.draw(st.permutations(baskets)))
    assert all(companions(shuffled, item) == plain(baskets, item) for item in "abcde")


@given(BASKETS, st.integers(0, 20), st.sets(st.sampled_from("abcde")))
def test_after_a_crash_records_of_any_age_end_equal(
    baskets: list[Basket], back: int, unkept: set[str]
) -> None:
    """Some records are as they were `back` purchases ago; those purchases are read again."""
    before, after = counted(baskets[: len(baskets) - back]), counted(baskets)
    restored = CoPurchases(PERIOD_MS)
    for item in "abcde":
        row = (before if item in unkept else after).get(item)
        if row is not None:
            raw = msgspec.msgpack.encode(row)
            restored.put(item, msgspec.msgpack.decode(raw, type=Companions))
    for offset in range(max(0, len(baskets) - back), len(baskets)):
        items, when_ms = baskets[offset]
        restored.count(items, when_ms, 0, offset)
    restored.age()
    newest = max((when_ms // PERIOD_MS for _, when_ms in baskets), default=0)
    recent = [each for each in baskets if each[1] // PERIOD_MS >= newest - 1]
    known = {item for items, _ in recent if len(set(items)) > 1 for item in items}
    assert all(companions(restored, item) == plain(baskets, item) for item in known)


def test_best_first_and_of_equals_the_lower_id() -> None:
    bought = counted(
        [(["tea", "milk"], 0), (["tea", "milk"], 0), (["tea", "z"], 0), (["tea", "a"], 0)]
    )
    assert bought.top("tea", 2, lambda _: True) == [("milk", 2), ("a", 1)]
    assert bought.top("tea", 2, lambda item: item != "milk") == [("a", 1), ("z", 1)]
    assert bought.top("never bought", 2, lambda _: True) == []


def test_an_item_not_bought_for_two_periods_is_forgotten() -> None:
    bought = counted([(["tea", "milk"], 0), (["rye", "oil"], PERIOD_MS)])
    assert len(bought) == 4
    assert bought.count(["rye", "oil"], 2 * PERIOD_MS, 0, 9) == ["rye", "oil"]
    assert set(bought.age()) == {"tea", "milk", "rye", "oil"}
    assert bought.get("tea") is None
    assert companions(bought, "rye") == {"oil": 2}


def test_of_a_large_basket_the_same_items_are_drawn_each_time() -> None:
    basket = [f"i{n}" for n in range(500)]
    first, again = counted([(basket, 0)]), counted([(basket, 0)])
    assert len(first) == MAX_BASKET
    assert {item for item in basket if first.get(item)} == {i for i in basket if again.get(i)}


def test_an_item_keeps_its_most_frequent_companions() -> None:
    often: list[Basket] = [(["tea", "milk"], 0)] * 3
    rarely: list[Basket] = [(["tea", f"i{n}"], 0) for n in range(4)]
    bought = counted(often + rarely, kept=2)
    assert companions(bought, "tea") == {"milk": 3, "i3": 1}
    assert bought.pruned == 3


def test_items_beyond_the_bound_are_refused_and_counted() -> None:
    bought = counted([(["tea", "milk"], 0), (["rye", "tea"], 0)], max_items=2)
    assert bought.refused == 1
    assert companions(bought, "tea") == {"milk": 1, "rye": 1}
    assert bought.get("rye") is None
