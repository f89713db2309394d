"""Placements over HTTP: their length, filters and exclusions, and what fills them."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest

from endcap.catalogue import CatalogueItem
from endcap.errors import SettingsError, StoreUnavailableError
from endcap.events import Event
from endcap.lists import ListItem, RecommendationList, Shelf
from endcap.rules import parse_rules
from endcap.serving.http import Options, create_app
from endcap.serving.kept_list import KeptList
from endcap.serving.memory_store import MemoryStore
from endcap.serving.placements import DEFAULTS, parse_placements
from endcap.serving.ruled_lists import RuledLists
from endcap.serving.shop_rules import ShopRules
from endcap.sessions import Carted, Purchased, Session

PRICES = {"milk": 1.0, "brie": 6.0, "bread": 2.0, "cake": 9.0, "tea": 4.0, "soap": 3.0}
BY_PLACE = """
rules:
  - {name: no cheese in the basket, block: true, where: {item: brie}, placements: [basket]}
  - {name: no cake at home, block: true, where: {item: [cake, bread]}, placements: [home]}
  - {name: no soap, block: true, where: {item: soap}}
"""
CATEGORIES = {"milk": "Dairy", "brie": "Dairy", "bread": "Bakery", "cake": "Bakery"}


def a_list(*items: str) -> RecommendationList:
    return RecommendationList(7, "m", 5, tuple(ListItem(item, 1.0, "why") for item in items))


class OneSession:
    """Of Ann, who has tea in her cart and has bought bread."""

    async def session(self, user_id: str) -> Session | None:
        bought = Purchased("bread", 3, 20, 10, 3.0)
        return Session("ann", (), (Carted("tea", 30),), (bought,)) if user_id == "ann" else None


class NoEvents:
    async def send_all(self, events: Sequence[Event]) -> None: ...


class AwayStore(MemoryStore):
    """A store that can be taken away."""

    is_away = False

    async def raw_list(self, user_id: str) -> bytes | None:
        self._look()
        return await super().raw_list(user_id)

    async def trending(self) -> RecommendationList | None:
        self._look()
        return await super().trending()

    async def items(self, ids: Sequence[str]) -> dict[str, CatalogueItem]:
        self._look()
        return await super().items(ids)

    def _look(self) -> None:
        if self.is_away:
            raise StoreUnavailableError("away")


async def a_shop(
    rules: ShopRules | None = None, **placements: Mapping[str, Any]
) -> tuple[AwayStore, KeptList, httpx.AsyncClient]:
    store = AwayStore()
    await store.write_items(
        [
            CatalogueItem(item, item.title(), CATEGORIES.get(item, ""), price=price)
            for item, price in PRICES.items()
        ]
    )
    await store.write_items([CatalogueItem("fish", "Fish", "Fish", in_stock=False)])
    await store.write_lists({"ann": a_list("fish", "tea", "brie", "bread", "unheard of")})
    await store.write_trending(a_list("milk", "brie", "bread", "cake", "soap", "tea"))
    await store.write_shelves({Shelf("similar", "milk"): a_list("cake", "milk", "bread")})
    lists = RuledLists(store, rules)
    kept = KeptList(lists)
    options = Options(kept=kept, placements=parse_placements(placements))
    app = create_app(lists, NoEvents(), OneSession(), options)
    transport = httpx.ASGITransport(app=app)
    return store, kept, httpx.AsyncClient(transport=transport, base_url="http://shop")


async def shown(client: httpx.AsyncClient, placement: str, **asked: Any) -> tuple[Any, list[str]]:
    found = await client.get(
        f"/v1/recommendations/{asked.pop('user', 'ann')}", params={"placement": placement, **asked}
    )
    assert found.status_code == 200
    return found.json(), [row["id"] for row in found.json()["items"]]


async def test_sold_out_carted_and_named_items_leave_and_trending_fills_the_rest() -> None:
    _, _, client = await a_shop()
    said, items = await shown(client, "basket", cart=["milk", "soap"])
    assert items == ["brie", "bread", "unheard of", "cake"]
    assert (said["source"], said["filled_from"]) == ("own", ["trending"])
    assert (said["placement"], said["version"], said["items"][0]["price"]) == ("basket", 7, 6.0)


async def test_rules_of_a_placement_hold_for_ready_lists_there_and_nowhere_else() -> None:
    rules = ShopRules()
    _, _, client = await a_shop(rules)
    before = await shown(client, "basket")
    rules.replace(parse_rules(BY_PLACE))
    assert (await shown(client, "basket"))[1] == ["bread", "unheard of", "milk", "cake"]
    assert (await shown(client, "home"))[1] == ["brie", "unheard of", "milk"]
    _, similar = await shown(client, "product", item="milk", user="nobody")
    assert similar == ["cake", "bread", "brie", "tea"]
    anywhere = (await client.get("/v1/recommendations/ann")).json()
    assert [row["id"] for row in anywhere["items"]] == ["tea", "brie", "bread", "unheard of"]
    rules.replace(parse_rules(""))
    assert await shown(client, "basket") == before


async def test_the_item_on_the_page_brings_what_is_similar_and_is_not_shown_itself() -> None:
    _, _, client = await a_shop()
    said, items = await shown(client, "product", item="milk", user="nobody")
    assert (said["source"], items[:2]) == ("similar", ["cake", "bread"])
    assert "milk" not in items
    _, by_cart = await shown(client, "basket", cart="milk", user="nobody")
    assert by_cart[:2] == ["cake", "bread"]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"items": 2}, ["brie", "bread"]),
        ({"categories": ["Bakery"]}, ["bread", "cake"]),
        ({"not_categories": ["Dairy"]}, ["bread", "unheard of", "cake", "soap"]),
        ({"min_price": 3.0, "max_price": 8.0}, ["brie", "soap"]),
        ({"exclude": ["purchased", "cart"]}, ["brie", "unheard of", "milk", "cake", "soap"]),
        ({"exclude": [], "items": 2}, ["tea", "brie"]),
        ({"sources": ["trending"], "items": 3}, ["milk", "brie", "bread"]),
    ],
)
async def test_a_placement_is_what_the_settings_say(
    fields: dict[str, Any], wanted: list[str]
) -> None:
    _, _, client = await a_shop(mine=fields)
    assert (await shown(client, "mine"))[1] == wanted


async def test_where_everything_is_filtered_out_the_answer_says_none() -> None:
    _, _, client = await a_shop(mine={"categories": ["Garden"]})
    said, items = await shown(client, "mine")
    assert (said["source"], items) == ("none", [])


async def test_while_the_store_is_away_the_kept_list_is_filtered_in_the_same_way() -> None:
    store, kept, client = await a_shop()
    await kept.refresh()
    store.is_away = True
    said, items = await shown(client, "basket", cart="milk")
    assert (said["source"], items) == ("kept", ["brie", "bread", "cake", "soap"])
    store.is_away = False
    assert (await shown(client, "basket"))[0]["source"] == "own"


async def test_an_experiments_variant_and_its_chances_are_handed_on() -> None:
    class Experimenting(AwayStore):
        async def raw_list(self, user_id: str) -> bytes | None:
            row = b'{"id":"brie","score":1.0,"reason":"why","propensity":0.25}'
            head = b'{"version":7,"model":"m","generated_at":5,"variant":"trial=b","items":['
            return head + row + b"]}"

    app = create_app(RuledLists(Experimenting()), NoEvents(), OneSession())
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        for path in ("/v1/recommendations/eve", "/v1/recommendations/eve?placement=home"):
            said = (await client.get(path)).json()
            assert (said["variant"], said["items"][0]["propensity"]) == ("trial=b", 0.25)


async def test_an_unknown_placement_is_told_the_known_ones() -> None:
    _, _, client = await a_shop()
    found = await client.get("/v1/recommendations/ann", params={"placement": "baskte"})
    assert found.status_code == 422
    assert "Did you mean basket?" in found.json()["detail"]
    assert found.json()["errors"][0]["field"] == "placement"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"item": 3}, "Did you mean items?"),
        ({"items": 0}, ">= 1"),
        ({"sources": ["popular"]}, "popular"),
        ({"min_price": 9.0, "max_price": 2.0}, "above"),
    ],
)
def test_a_placement_of_the_wrong_form_is_named(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match="The placement mine is wrong") as wrong:
        parse_placements({"mine": fields})
    assert says in str(wrong.value)


def test_the_three_places_of_a_shop_are_there_without_settings() -> None:
    assert set(parse_placements({})) == set(DEFAULTS) == {"home", "product", "basket"}
