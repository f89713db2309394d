"""Purchase lines as baskets, and a basket as the events that a shop would send."""

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from endcap.events import Event, EventItem, EventType


class Basket(NamedTuple):
    """One transaction as it happened."""

    user_id: str
    basket_id: str
    timestamp_ms: int
    item_ids: tuple[str, ...]
    prices: tuple[float, ...]
    quantities: tuple[int, ...]


def baskets(lines: pl.DataFrame) -> Iterator[Basket]:
    """Transactions in time order."""
    grouped = lines.group_by("user_id", "basket_id", maintain_order=True).agg(
        pl.col("timestamp_ms").first(), pl.col("item_id", "price", "quantity")
    )
    for user, basket, timestamp_ms, items, prices, quantities in grouped.sort(
        "timestamp_ms", maintain_order=True
    ).iter_rows():
        yield Basket(user, basket, timestamp_ms, tuple(items), tuple(prices), tuple(quantities))


def purchase_event(basket: Basket) -> Event:
    """The basket as the one event that ends it."""
    return Event(
        event_id=f"{basket.basket_id}-purchase",
        user_id=basket.user_id,
        event_name=EventType.PURCHASE,
        timestamp_ms=basket.timestamp_ms,
        transaction_id=basket.basket_id,
        items=tuple(
            EventItem(item, price, quantity)
            for item, price, quantity in zip(
                basket.item_ids, basket.prices, basket.quantities, strict=True
            )
        ),
    )


def cart_event(basket: Basket, line: int) -> Event:
    """One line of the basket as it was put into the cart."""
    return Event(
        event_id=f"{basket.basket_id}-add-{line}",
        user_id=basket.user_id,
        event_name=EventType.ADD_TO_CART,
        timestamp_ms=basket.timestamp_ms,
        items=(EventItem(basket.item_ids[line], basket.prices[line], basket.quantities[line]),),
    )
