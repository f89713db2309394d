"""What a page shows of an item, from its hash."""

import math
from collections.abc import Sequence

from endcap.catalogue import CatalogueItem
from endcap.client.chain import check_id
from endcap.client.errors import ClientError, RequestError, UnreadableValueError
from endcap.lists import item_key

FIELDS = ("title", "category", "department", "price", "in_stock")
Row = list[bytes | None]


def fact_commands(ids: Sequence[str]) -> list[tuple[str, ...]]:
    """What to ask Redis.

    Raises:
        RequestError: ids are no ids.
    """
    if isinstance(ids, str):
        raise RequestError("ids is one text: give a list of item ids.")
    for item_id in ids:
        check_id("an item id", item_id)
    return [("HMGET", item_key(item_id), *FIELDS) for item_id in ids]


def known_items(
    ids: Sequence[str], rows: Sequence[Row | ClientError]
) -> tuple[dict[str, CatalogueItem], ClientError | None]:
    """By id, what is known of it, and the first reason why something could not be read."""
    items: dict[str, CatalogueItem] = {}
    problem: ClientError | None = None
    for item_id, row in zip(ids, rows, strict=True):
        try:
            if isinstance(row, ClientError):
                problem = problem or row
            elif row[0] is not None:
                items[item_id] = _item(item_id, [field or b"" for field in row])
        except ValueError as error:
            problem = problem or UnreadableValueError(
                f"A hash at endcap:item:{{<item>}} is not one of the contract ({error}). Only "
                "endcap may write there: see docs/redis.md."
            )
    return items, problem


def _item(item_id: str, row: Sequence[bytes]) -> CatalogueItem:
    title, category, department, price, in_stock = (field.decode() for field in row)
    amount = float(price) if price else None
    if amount is not None and not math.isfinite(amount):
        raise ValueError(f"the price is {price}")
    return CatalogueItem(item_id, title, category, department, amount, in_stock != "0")
