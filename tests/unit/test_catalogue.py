"""Reports of items by version: an older one changes nothing, and a price change is told once."""

from hypothesis import given
from hypothesis import strategies as st

from endcap.catalogue import (
    CatalogueItem,
    Held,
    PriceChange,
    Publication,
    Taken,
    change_key,
    remove,
    take,
)


def milk(price: float | None, version: int | None = None) -> CatalogueItem:
    return CatalogueItem("milk", "Whole milk", price=price, version=version)


def at(offset: int) -> Publication:
    return Publication(offset, 1000 * offset)


def after(*reports: CatalogueItem | None) -> Held | None:
    held: Held | None = None
    for offset, said in enumerate(reports):
        held = remove(held, at(offset)) if said is None else take(held, said, at(offset)).held
    return held


def shown(held: Held | None) -> CatalogueItem:
    assert held is not None
    assert held.item is not None
    return held.item


@given(st.permutations([milk(float(version), version) for version in range(1, 6)]))
def test_the_highest_version_is_shown_whatever_the_order(reports: list[CatalogueItem]) -> None:
    assert shown(after(*reports)).price == 5.0


def test_a_price_change_names_both_prices_and_when() -> None:
    taken = take(after(milk(1.0, 1)), milk(1.2, 4), at(7))
    assert taken.change == PriceChange("milk", 1.0, 1.2, 7000, 4)
    assert change_key(taken.change, at(7)) == b"milk/4"
    assert shown(taken.held).previous_price == 1.0
    assert shown(taken.held).price_changed_ms == 7000


def test_the_last_price_change_stays_with_the_item() -> None:
    restocked = CatalogueItem("milk", "Whole milk", price=1.2, in_stock=False)
    item = shown(after(milk(1.0), milk(1.2), restocked))
    assert (item.previous_price, item.price_changed_ms, item.in_stock) == (1.0, 1000, False)


def test_what_a_shop_says_of_previous_prices_is_replaced() -> None:
    said = CatalogueItem("milk", "Whole milk", price=1.0, previous_price=9.0, price_changed_ms=3)
    assert shown(after(said)) == milk(1.0)


def test_no_price_and_the_same_price_are_no_change() -> None:
    for before, now in ((None, 1.0), (1.0, None), (1.0, 1.0)):
        assert take(after(milk(before)), milk(now), at(1)).change is None


def test_a_version_that_comes_again_is_not_older() -> None:
    held = after(milk(1.0, 5))
    assert take(held, milk(9.0, 5), at(3)) == Taken(held, "already_held")
    assert take(held, milk(9.0, 4), at(3)) == Taken(held, "older_version")


def test_what_is_read_again_changes_nothing_and_tells_nothing() -> None:
    held = after(milk(1.0), milk(2.0), milk(3.0))
    for offset, price in ((1, 2.0), (2, 3.0)):
        assert take(held, milk(price), at(offset)) == Taken(held, "already_held")
    assert remove(held, at(2)) is held


def test_a_deleted_item_comes_back_by_a_higher_version_alone() -> None:
    grave = after(milk(1.0, 5), None)
    assert grave == Held(None, 5, 1)
    assert take(grave, milk(1.0, 5), at(2)).outcome == "older_version"
    assert shown(take(grave, milk(1.5, 6), at(2)).held) == milk(1.5, 6)
    assert take(grave, milk(1.5, 6), at(2)).change is None


def test_without_versions_the_topic_s_order_decides() -> None:
    assert shown(after(milk(2.0), None, milk(1.0))) == milk(1.0)
    assert after(milk(1.0), None) is None


def test_a_report_without_a_version_is_taken_and_the_version_stays() -> None:
    held = after(milk(1.0, 5), milk(2.0))
    assert shown(held).price == 2.0
    assert take(held, milk(9.0, 4), at(9)).outcome == "older_version"
