"""What a shopper without history sees."""

import pytest

from endcap.lists import ListItem, RecommendationList, Shelf
from endcap.serving.fallback import Where, what_trends
from endcap.serving.memory_store import MemoryStore


def a_list(item: str) -> RecommendationList:
    return RecommendationList(1, "m", 1, (ListItem(item, 0.5, "popular right now"),))


@pytest.fixture
async def store() -> MemoryStore:
    opened = MemoryStore()
    await opened.write_trending(a_list("everybody's"))
    await opened.write_shelves(
        {
            Shelf("category", "Dairy"): a_list("the category's"),
            Shelf("category", "Empty"): RecommendationList(1, "m", 1, ()),
            Shelf("store", "12"): a_list("the store's"),
            Shelf("now"): a_list("today's"),
        }
    )
    return opened


@pytest.mark.parametrize(
    ("where", "source", "item"),
    [
        (Where("Dairy", "12", True), "category", "the category's"),
        (Where("Unheard of", "12", True), "store", "the store's"),
        (Where("Empty", "12"), "store", "the store's"),
        (Where("Dairy"), "category", "the category's"),
        (Where("", "99", True), "now", "today's"),
        (Where(now=True), "now", "today's"),
        (Where("", "99"), "trending", "everybody's"),
        (Where("store:12"), "trending", "everybody's"),
        (Where(), "trending", "everybody's"),
    ],
)
async def test_the_most_particular_list_that_is_there_comes_first(
    store: MemoryStore, where: Where, source: str, item: str
) -> None:
    found = await what_trends(store, where)
    assert found is not None
    assert (found.source, found.ready.items[0].id) == (source, item)


async def test_where_nothing_trends_there_is_nothing() -> None:
    assert await what_trends(MemoryStore(), Where("Dairy", "12", True)) is None
