"""Baskets as examples: the shopper's state before each, by the same fold that serves."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from endcap.bundle import CandidateIndex
from endcap.candidates import Candidates, Shopper, gather_candidates, shopper_from_session
from endcap.events import Event, EventItem, EventType
from endcap.sessions import Session, act_of, fold


class Basket(NamedTuple):
    """One transaction as it happened."""

    user_id: str
    basket_id: str
    timestamp_ms: int
    item_ids: tuple[str, ...]
    prices: tuple[float, ...]
    quantities: tuple[int, ...]


class Example(NamedTuple):
    """What was known before a basket, and what was bought then (item ids, known or not)."""

    user_id: str
    shopper: Shopper
    candidates: Candidates
    in_cart: frozenset[int]
    bought: frozenset[str]


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


def examples(
    lines: pl.DataFrame,
    index: CandidateIndex,
    index_of: dict[str, int],
    start_ms: int,
    end_ms: int,
    mid_basket: "np.random.Generator | None" = None,
) -> Iterator[Example]:
    """One example a basket within [start_ms, end_ms), of shoppers seen before.

    With `mid_basket`, a second example follows: a random part of the basket lies in the cart and
    the rest is to be predicted.
    """
    sessions: dict[str, Session] = {}
    for basket in baskets(lines.filter(pl.col("timestamp_ms") < end_ms)):
        session = sessions.get(basket.user_id) or Session(basket.user_id)
        if basket.timestamp_ms >= start_ms and session.events_folded:
            yield _example(session, basket, index, index_of, 0)
            if mid_basket is not None and len(basket.item_ids) > 1:
                cut = int(mid_basket.integers(1, len(basket.item_ids)))
                carted = session
                for line in range(cut):
                    carted = fold(carted, act_of(cart_event(basket, line)))
                yield _example(carted, basket, index, index_of, cut)
        sessions[basket.user_id] = fold(session, act_of(purchase_event(basket)))


def _example(
    session: Session, basket: Basket, index: CandidateIndex, index_of: dict[str, int], cut: int
) -> Example:
    shopper = shopper_from_session(session, index_of, basket.timestamp_ms)
    in_cart = frozenset(index_of[item] for item in session.cart if item in index_of)
    return Example(
        basket.user_id,
        shopper,
        gather_candidates(shopper, index),
        in_cart,
        frozenset(basket.item_ids[cut:]),
    )
