"""What is pushed to a page that listens, and when."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from endcap.catalogue import CatalogueItem
from endcap.errors import StoreUnavailableError
from endcap.lists import ListItem, RecommendationList
from endcap.rules import parse_rules
from endcap.serving import shop_strip
from endcap.serving.list_changes import ListChanges
from endcap.serving.memory_store import MemoryStore
from endcap.serving.ruled_lists import RuledLists
from endcap.serving.shop_list import ProductFacts
from endcap.serving.shop_rules import ShopRules
from endcap.serving.shop_shelves import ShopShelves
from endcap.serving.shop_strip import Strips
from endcap.serving.shop_window import ShopWindow
from endcap.serving.shown_items import MAX_AGE_S

STILL_HERE = b": still here\n\n"


class AwayStore(MemoryStore):
    is_away = False

    async def raw_list(self, user_id: str) -> bytes | None:
        if self.is_away:
            raise StoreUnavailableError("away")
        return await super().raw_list(user_id)


class NoProducts:
    changes = 1

    def values(self) -> Sequence[CatalogueItem]:
        return ()


class Page:
    """Ann's, that listens to a shop in memory, with a clock that is set by hand."""

    def __init__(self) -> None:
        self.store = AwayStore()
        self.rules = ShopRules()
        self.now_s = 1e9
        lists = RuledLists(self.store, self.rules, clock=lambda: self.now_s)
        strips = Strips(lists, ShopWindow(lists), ProductFacts(lists), ShopShelves(NoProducts()))
        self.changes = ListChanges("redis://127.0.0.1:1/0", most=1)  # that nobody runs
        self.listener = self.changes.listen("ann")
        self.said: AsyncIterator[bytes] = strips.pushed("ann", self.listener)

    async def has(self, *items: str) -> None:
        rows = tuple(ListItem(item, 1.0, "why") for item in items)
        await self.store.write_lists({"ann": RecommendationList(1, "m", 1, rows)})

    async def shown(self) -> tuple[str, bool, list[str]]:
        """The next list that is pushed."""
        while not (said := await anext(self.said)).startswith(b"event: list"):
            assert said == STILL_HERE
        body: Any = msgspec.json.decode(said.partition(b"data: ")[2])
        return body["source"], body["is_live"], [row["id"] for row in body["items"]]


@pytest.fixture
async def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setattr(shop_strip, "HEARTBEAT_S", 0.01)
    monkeypatch.setattr(shop_strip, "AGAIN_S", 0.005)
    made = Page()
    assert (await anext(made.said)).startswith(b"retry: ")
    await made.has("tea", "milk")
    made.changes.wake_all()
    assert await made.shown() == ("own", True, ["tea", "milk"])
    return made


async def test_what_is_blocked_or_sold_out_leaves_a_page_that_is_open(page: Page) -> None:
    page.rules.replace(parse_rules("rules: [{name: a, block: true, where: {item: tea}}]"))
    assert await page.shown() == ("own", True, ["milk"])
    await page.store.write_items([CatalogueItem("milk", "Milk", stock=0)])
    page.now_s += MAX_AGE_S
    assert await page.shown() == ("none", True, [])
    page.rules.replace(parse_rules(""))
    assert await page.shown() == ("own", True, ["tea"])


async def test_the_same_list_is_not_pushed_twice(page: Page) -> None:
    page.changes.wake_all()
    assert await anext(page.said) == STILL_HERE
    await page.has("brie")
    assert await page.shown() == ("own", True, ["brie"])


async def test_a_store_that_missed_one_question_is_asked_again(page: Page) -> None:
    page.store.is_away = True
    page.changes.wake_all()
    assert await page.shown() == ("none", False, [])
    page.store.is_away = False
    assert await page.shown() == ("own", True, ["tea", "milk"])


async def test_the_stream_ends_with_its_listener_and_makes_room(page: Page) -> None:
    page.changes.close()
    with pytest.raises(StopAsyncIteration):
        await anext(page.said)
    page.changes.listen("bob")
