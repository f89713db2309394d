"""The shop behind the storefront page: shelves, search, and what its page may load."""

from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import pytest

from endcap.bundle import Bundle
from endcap.catalogue import CatalogueItem
from endcap.errors import BrokerUnavailableError, BundleError
from endcap.events import Event
from endcap.lists import ListItem, RecommendationList
from endcap.policy import Policy
from endcap.serving.http import Options, create_app
from endcap.serving.list_changes import ListChanges
from endcap.serving.memory_store import MemoryStore
from endcap.serving.ruled_lists import RuledLists
from endcap.serving.shop_names import written_out
from endcap.serving.shop_routes import Shop
from endcap.serving.shop_shelves import MAX_AGE_S, PAGE, Shelves, ShopShelves
from endcap.serving.shop_words import is_sentence
from endcap.sessions import Session
from endcap.text import Understood

ITEMS = (
    CatalogueItem("1", "Oat milk, 1 l", "Milk", "Dairy", 2.0),
    CatalogueItem("2", "Whole milk, 1 l", "Milk", "Dairy", 1.0),
    CatalogueItem("3", "Chocolates with milk", "Candy", "Sweets", 3.0),
    CatalogueItem("4", "Rye bread", "Bread", "Bakery", 2.5),
    CatalogueItem("5", "Wheat bread", "Bread", "Bakery", 2.5, in_stock=False),
)


class Published:
    """A catalogue that may change."""

    def __init__(self, items: Sequence[CatalogueItem]) -> None:
        self.changes = 1
        self.items = items

    def values(self) -> Sequence[CatalogueItem]:
        return self.items


class Nobody:
    async def session(self, user_id: str) -> Session | None:
        return None

    async def send_all(self, events: Sequence[Event]) -> None:
        raise AssertionError("nothing is sent here")


class Unread:
    """Sessions whose broker does not answer."""

    async def session(self, user_id: str) -> Session | None:
        raise BrokerUnavailableError("away")


class NoWords:
    """A bundle that was trained without words."""

    def find(self, sentence: str) -> tuple[Understood, Bundle]:
        raise BundleError("The bundle has no words.")

    async def rescore(self, session: Session, policy: Policy) -> RecommendationList:
        raise AssertionError("nothing is to be scored")


def a_client(shop: Shop | None, store: MemoryStore | None = None) -> httpx.AsyncClient:
    app = create_app(RuledLists(store or MemoryStore()), Nobody(), Nobody(), Options(shop=shop))
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://shop")


def a_shop(items: Sequence[CatalogueItem] = ITEMS, **more: Any) -> Shop:
    changes = ListChanges("redis://127.0.0.1:1/0", most=0)
    return Shop(ShopShelves(Published(items)), changes, **more)


def test_shelves_count_what_is_in_stock() -> None:
    shown = {each.name: each for each in Shelves(ITEMS).departments()}
    assert list(shown) == ["Dairy", "Sweets", "Bakery"]
    assert shown["Bakery"].products == 1
    assert [(each.name, each.products) for each in shown["Dairy"].categories] == [("Milk", 2)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("milk", ["1", "2", "3"]),  # where the title begins otherwise, by order
        ("oat milks", ["1"]),
        ("MILK choc", ["3"]),
        ("bread", ["4"]),
        ("candy", ["3"]),
        ("laptop", []),
        ("1 l", ["1", "2"]),
        ("!?", []),
    ],
)
def test_titles_are_found_by_all_their_words(words: str, found: list[str]) -> None:
    assert [item.item_id for item in Shelves(ITEMS).titled(words)] == found


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("Fluid milk white only, 1 ga", "White milk, 1 gal"),
        ("Frzn bagels, 20 oz", "Frozen bagels, 20 oz"),
        ("Soft drinks 12 / 18&15pk can car, 12 pk/12 oz", "Soft drinks, 12 to 18 cans, 12 × 12 oz"),
        ("Candy bars (singles)(including, 2 oz", "Candy bars (singles), 2 oz"),
        ("Sandwiches&handhelds, l 9 oz", "Sandwiches & handhelds, 9 oz"),
        ("Meat-Pckgd", "Packaged Meat"),
        ("Lasagne, 1/2 lb", "Lasagne, 1/2 lb"),
    ],
)
def test_names_are_written_out_without_what_was_cut_off(short: str, full: str) -> None:
    assert written_out(short) == full


def test_what_a_till_writes_short_is_found_and_shown_in_full() -> None:
    short = CatalogueItem("6", "Frzn ss premium entrees / dnrs / t, 12 oz", "Frzn Meat", "Grocery")
    shelves = Shelves([*ITEMS, short])
    for words in ("frozen dinners", "frzn dnrs", "single-serve premium"):
        assert [item.item_id for item in shelves.titled(words)] == ["6"]
    names = [each for one in shelves.departments() for each in one.categories]
    assert ("Frzn Meat", "Frozen Meat") in [(each.name, each.shelf) for each in names]


async def test_a_card_has_brand_and_shelf_and_reasons_have_whole_names() -> None:
    item = CatalogueItem("6", "Refrig dips, 8 oz", "Sald Drsng", brand="Store brand")
    store = MemoryStore()
    await store.write_items([item])
    rows = (ListItem("6", 1.0, "often bought with Frzn french fries, 2 lb"),)
    await store.write_lists({"me": RecommendationList(1, "model", 1, rows)})
    (shown,) = (await a_client(a_shop(), store).get("/shop/list/me")).json()["items"]
    assert (shown["title"], shown["brand"]) == ("Refrigerated dips, 8 oz", "Store brand")
    assert (shown["category"], shown["shelf"]) == ("Sald Drsng", "Salad Dressing")
    assert shown["reason"] == "often bought with Frozen French fries, 2 lb"


def test_a_sentence_is_told_from_plain_words() -> None:
    assert is_sentence("I bought a laptop, a mouse, and a keyboard.")
    assert is_sentence("something for a birthday cake")
    assert not is_sentence("frozen pizza")


async def test_pages_of_a_category_hold_all_of_it_once() -> None:
    many = [CatalogueItem(str(n), f"Tea {n}", "Tea", "Drinks") for n in range(2 * PAGE + 1)]
    client = a_client(a_shop(many))
    found: list[str] = []
    for page in (1, 2, 3):
        said = (await client.get("/shop/category", params={"name": "Tea", "page": page})).json()
        assert (said["pages"], said["total"]) == (3, len(many))
        found += [product["id"] for product in said["products"]]
    assert found == [item.item_id for item in many]
    missing = await client.get("/shop/category", params={"name": "Teas"})
    assert missing.status_code == 404
    assert "nothing in Teas" in missing.json()["detail"]


async def test_what_is_published_later_is_on_the_shelves_some_seconds_later() -> None:
    published, now = Published(ITEMS), [100.0]
    shelves = ShopShelves(published, clock=lambda: now[0])
    assert (await shelves.now()).titled("tea") == []
    published.items = (*ITEMS, CatalogueItem("6", "Green tea", "Tea"))
    published.changes += 1
    assert (await shelves.now()).titled("tea") == []
    now[0] += MAX_AGE_S
    assert [item.item_id for item in (await shelves.now()).titled("tea")] == ["6"]


async def test_prices_are_those_of_the_store_and_the_catalogues_where_it_has_none() -> None:
    store = MemoryStore()
    await store.write_items([CatalogueItem("1", "Oat milk", "Milk", price=1.5, previous_price=2)])
    client = a_client(a_shop(), store)
    shown = (await client.get("/shop/products", params={"ids": ["1", "4", "unheard of"]})).json()
    assert [(each["id"], each["price"], each["previous_price"]) for each in shown] == [
        ("1", 1.5, 2.0),
        ("4", 2.5, None),
    ]


async def test_without_words_the_search_says_why_nothing_is_recommended() -> None:
    asked = {"q": "something for a birthday cake"}
    plain = (await a_client(a_shop()).get("/shop/search", params=asked)).json()
    assert "ENDCAP_HTTP_RESCORE" in plain["note"]
    words = NoWords()
    told = (
        await a_client(a_shop(queue=words, words=words)).get("/shop/search", params=asked)
    ).json()
    assert (told["note"], told["recommended"]) == ("The bundle has no words.", [])


async def test_too_many_listeners_are_sent_away_and_the_list_is_there_all_the_same() -> None:
    store = MemoryStore()
    ready = RecommendationList(7, "m", 1, (ListItem("4", 1.0, "you bought this"),))
    await store.write_lists({"ann": ready})
    client = a_client(a_shop(), store)
    refused = await client.get("/shop/updates/ann")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    said = (await client.get("/shop/list/ann")).json()
    assert (said["source"], said["version"], said["is_live"]) == ("own", 7, True)
    assert said["items"][0]["title"] == "Rye bread"
    assert (said["variant"], said["propensities"]) == ("", [1.0])
    drawn = (ListItem("4", 1.0, "why", 0.25), ListItem("1", 0.9, "why"))
    await store.write_lists({"ann": RecommendationList(8, "m", 1, drawn, "summer=new-model")})
    tried = (await client.get("/shop/list/ann")).json()
    assert (tried["variant"], tried["propensities"]) == ("summer=new-model", [0.25, 1.0])
    await store.write_lists({"ann": msgspec.structs.replace(ready, version=9)})
    assert (await client.get("/shop/list/bob")).json()["source"] == "none"
    assert (await client.get("/shop/shoppers")).json() == [{"id": "ann", "events": 9}]
    assert (await client.get("/shop/known/ann")).json() == {"known": True, "cart": []}
    assert (await client.get("/shop/known/bob")).json() == {"known": False, "cart": []}


async def test_nobody_is_said_to_be_unknown_while_sessions_cannot_be_read() -> None:
    store = MemoryStore()
    await store.write_lists({"ann": RecommendationList(7, "m", 1, ())})
    app = create_app(RuledLists(store), Nobody(), Unread(), Options(shop=a_shop()))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        assert (await client.get("/shop/known/ann")).json() == {"known": True, "cart": []}
        assert (await client.get("/shop/known/bob")).status_code == 503


async def test_the_page_may_load_nothing_from_elsewhere_and_is_sent_once() -> None:
    client = a_client(a_shop())
    page = await client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    for part in ("style.css", "app.js", "icons.svg"):
        found = await client.get(f"/shop/page/{part}")
        assert found.status_code == 200
        again = await client.get(
            f"/shop/page/{part}", headers={"If-None-Match": found.headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")
    assert (await client.get("/shop/page/..%2fhttp.py")).status_code == 404


async def test_without_a_shop_the_server_says_so() -> None:
    client = a_client(None)
    found = await client.get("/")
    assert found.status_code == 404
    assert "API keys" in found.json()["detail"]
    assert (await client.get("/shop/departments")).status_code == 404
