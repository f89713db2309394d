"""How old and how many the facts of items may be."""

from endcap.catalogue import CatalogueItem
from endcap.serving import shown_list
from endcap.serving.memory_store import MemoryStore
from endcap.serving.shown_list import MAX_AGE_S, ItemFacts


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_a_price_is_read_again_when_it_is_old() -> None:
    store, clock = MemoryStore(), Clock()
    facts = ItemFacts(store, clock)
    await store.write_items([CatalogueItem("milk", "Milk", price=1.0)])
    assert (await facts.of(["milk"]))["milk"].price == 1.0
    await store.write_items([CatalogueItem("milk", "Milk", price=2.0)])
    clock.now += MAX_AGE_S / 2
    assert (await facts.of(["milk", "new"]))["milk"].price == 1.0
    clock.now += MAX_AGE_S / 2 + 0.1
    assert (await facts.of(["milk"]))["milk"].price == 2.0


async def test_no_more_than_about_the_bound_is_kept() -> None:
    facts = ItemFacts(MemoryStore(), Clock())
    for turn in range(3):
        ids = [f"{turn}-{n}" for n in range(shown_list.MAX_ITEMS // 2 + 1)]
        known = await facts.of(ids)
        assert all(item_id in known for item_id in ids)
    assert len(known) <= shown_list.MAX_ITEMS * 1.5 + 3
    assert "0-0" not in known
