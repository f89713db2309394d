"""The facts that answers are made of: a shopper's orders, products, a recommended list."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from endcap.catalogue import CatalogueItem


class OrderLine(msgspec.Struct, frozen=True):
    """`title`: as the catalogue has it, else the item's id. `price`: of one; None: not known."""

    item_id: str
    title: str
    quantity: int = 1
    price: float | None = None
    category: str = ""


class Order(msgspec.Struct, frozen=True):
    """A purchase as its event told it. `placed_ms`: event time, Unix milliseconds UTC."""

    order_id: str
    placed_ms: int
    lines: tuple[OrderLine, ...]

    @property
    def total(self) -> float | None:
        """Of all lines; None where the price of one is not known."""
        prices = [line.price for line in self.lines]
        if None in prices:
            return None
        return round(sum((line.price or 0.0) * line.quantity for line in self.lines), 2)

    @property
    def pieces(self) -> int:
        """How many articles were bought, each counted as often as it was."""
        return sum(line.quantity for line in self.lines)


class Recommended(NamedTuple):
    """An item of a list, with the reason that the list gives."""

    item: CatalogueItem
    reason: str


class Records(NamedTuple):
    """All that an answer may be made of. Who gathers them has checked whose they are.

    `orders`: the shopper's own, newest first; None: nobody has shown who they are, or nothing of
    them can be read now (`orders_are_away`). `products`: what each phrase of the question finds,
    the likeliest first. `recommended`: the shopper's list, or what goes with the products.
    """

    now_ms: int
    orders: Sequence[Order] | None = None
    orders_are_away: bool = False
    products: Mapping[str, Sequence[CatalogueItem]] = {}
    recommended: Sequence[Recommended] = ()
    reduced: Sequence[CatalogueItem] = ()
    currency: str = "$"
