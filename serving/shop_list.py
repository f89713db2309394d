"""A shopper's list with all that a page shows of its products."""

from collections.abc import Mapping, Sequence

import msgspec

from endcap.catalogue import CatalogueItem
from endcap.errors import ConnectionFailedError
from endcap.lists import ListItem, RecommendationList, decode_list
from endcap.serving.list_reader import ListReader
from endcap.serving.shop_names import shelf_title, written_out
from endcap.serving.shop_shelves import Shelves
from endcap.serving.shop_window import ShopWindow


class ProductShown(msgspec.Struct, frozen=True):
    """A product as its card shows it. `shelf`: its category's name in full; `previous_price`:
    before the last change of price; `reason`: why it is recommended, empty where it is not."""

    id: str
    title: str
    category: str
    shelf: str
    department: str
    brand: str
    price: float | None
    previous_price: float | None
    in_stock: bool
    reason: str = ""


class ShopList(msgspec.Struct, frozen=True):
    """The strip. `source`: `own`, or which fallback. Not `is_live`: changes are not heard of.
    `variant` and `propensities`, one for each item, go back with what is shown and clicked."""

    source: str
    is_live: bool
    version: int
    model: str
    generated_at: int
    items: Sequence[ProductShown]
    variant: str
    propensities: Sequence[float]


class ProductFacts:
    """Products as Redis has them; as the catalogue has them where Redis does not answer."""

    def __init__(self, lists: ListReader) -> None:
        self._lists = lists

    async def of(self, ids: Sequence[str], shelves: Shelves) -> list[ProductShown]:
        """In their order; what nobody knows is left out."""
        known = await self._known(ids)
        found = [known.get(each) or shelves.of_id.get(each) for each in ids]
        return [_shown(item) for item in found if item is not None]

    async def of_rows(self, rows: Sequence[ListItem], shelves: Shelves) -> list[ProductShown]:
        """Recommended, with their reasons; what nobody knows is shown by its id."""
        known = await self._known([row.id for row in rows])
        return [
            _shown(
                known.get(row.id) or shelves.of_id.get(row.id) or CatalogueItem(row.id, row.id),
                row.reason,
            )
            for row in rows
        ]

    async def _known(self, ids: Sequence[str]) -> Mapping[str, CatalogueItem]:
        try:
            return await self._lists.items(ids) if ids else {}
        except ConnectionFailedError:
            return {}


async def strip(
    raw: bytes | None, is_live: bool, window: ShopWindow, facts: ProductFacts, shelves: Shelves
) -> bytes:
    """The JSON of a `ShopList`: the shopper's own where there is one, else everybody's."""
    if raw is not None:
        return await _encoded("own", is_live, decode_list(raw), facts, shelves)
    found = await window.for_everybody()
    ready = found.ready or RecommendationList(0, "", 0, ())
    return await _encoded(found.source, is_live, ready, facts, shelves)


async def _encoded(
    source: str, is_live: bool, ready: RecommendationList, facts: ProductFacts, shelves: Shelves
) -> bytes:
    rows = await facts.of_rows(ready.items, shelves)
    return msgspec.json.encode(
        ShopList(
            source,
            is_live,
            ready.version,
            ready.model,
            ready.generated_at,
            rows,
            ready.variant,
            [row.propensity for row in ready.items],
        )
    )


def _shown(item: CatalogueItem, reason: str = "") -> ProductShown:
    return ProductShown(
        item.item_id,
        shelf_title(item),
        item.category,
        written_out(item.category),
        written_out(item.department),
        item.brand,
        item.price,
        item.previous_price,
        not item.is_sold_out,
        written_out(reason),
    )
