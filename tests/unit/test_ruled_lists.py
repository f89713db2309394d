"""Ready lists, read as the rules of now allow."""

from endcap.catalogue import CatalogueItem
from endcap.lists import ListItem, RecommendationList, Shelf, encode_list
from endcap.rules import parse_rules
from endcap.serving.memory_store import MemoryStore
from endcap.serving.ruled_lists import RuledLists
from endcap.serving.shop_rules import ShopRules
from endcap.serving.shown_items import MAX_AGE_S

NOON_S = 1_764_072_000.0  # 2025-11-25T12:00Z
READY = RecommendationList(
    3, "m", 1, tuple(ListItem(item, 1.0, "popular right now") for item in ("milk", "tea", "new"))
)
LUNCH = """
rules:
  - name: no tea at lunch
    block: true
    where: {category: Drinks}
    hours: ["12:30-13:30"]
  - name: no milk in the basket
    block: true
    where: {item: milk}
    placements: [basket]
"""


class Reader:
    """A shop in memory, with a clock that is set by hand."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.rules = ShopRules()
        self.now_s = NOON_S
        self.lists = RuledLists(self.store, self.rules, clock=lambda: self.now_s)

    async def filled(self) -> "Reader":
        await self.store.write_lists({"u": READY})
        await self.store.write_trending(READY)
        await self.store.write_shelves({Shelf("now"): READY})
        await self.sells(CatalogueItem("milk", "Milk", "Dairy"), CatalogueItem("tea", "", "Drinks"))
        return self

    async def sells(self, *items: CatalogueItem) -> None:
        await self.store.write_items(items)

    async def shown(self, lists: RuledLists | None = None) -> str:
        """Of the shopper's own list; the shared ones hold the same."""
        read = lists or self.lists
        raw = await read.raw_list("u")
        for other in (await read.trending(), await read.shelf(Shelf("now"))):
            assert other is not None
            assert (encode_list(other) if other.items else None) == raw
        found = () if other is None else other.items
        return " ".join(item.id for item in found)


async def test_a_list_of_which_all_may_be_shown_goes_through_as_it_is() -> None:
    shop = await Reader().filled()
    assert await shop.lists.raw_list("u") == encode_list(READY)
    assert await shop.lists.raw_list("nobody") is None
    shop.rules.replace(parse_rules(LUNCH))
    assert await shop.lists.raw_list("u") == encode_list(READY)


async def test_a_rule_holds_while_its_window_is_open_and_at_its_placement() -> None:
    shop = await Reader().filled()
    basket = shop.lists.at("basket")
    shop.rules.replace(parse_rules(LUNCH))
    assert await shop.shown() == "milk tea new"
    assert await shop.shown(basket) == "tea new"
    shop.now_s += 1800
    assert await shop.shown() == "milk new"
    assert await shop.shown(basket) == "new"
    shop.now_s += 3600
    assert await shop.shown() == "milk tea new"
    shop.rules.replace(parse_rules(""))
    assert await shop.shown(basket) == "milk tea new"


async def test_what_is_sold_out_leaves_within_seconds_and_comes_back() -> None:
    shop = await Reader().filled()
    assert await shop.shown() == "milk tea new"
    await shop.sells(CatalogueItem("milk", "Milk", "Dairy", stock=0))
    shop.now_s += MAX_AGE_S
    assert await shop.shown() == "tea new"
    await shop.sells(CatalogueItem("milk", "Milk", "Dairy", stock=3))
    shop.now_s += MAX_AGE_S
    assert await shop.shown() == "milk tea new"


async def test_a_list_of_which_nothing_may_be_shown_is_none() -> None:
    shop = await Reader().filled()
    everything = "rules: [{name: a, block: true, where: {item: [milk, tea, new]}}]"
    shop.rules.replace(parse_rules(everything))
    assert await shop.lists.raw_list("u") is None
    assert await shop.shown() == ""
