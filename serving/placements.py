"""Placements: the strips of a shop, each with its own length, sources, filters and exclusions."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from endcap.catalogue import CatalogueItem
from endcap.errors import SettingsError
from endcap.near_names import did_you_mean
from endcap.serving.shown_list import ShownItem

Source = Literal["own", "similar", "category", "store", "now", "trending"]
Exclusion = Literal["cart", "item", "purchased"]
_Price = Annotated[float, Meta(ge=0)]


class Placement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in one place of the shop.

    `sources` in the order in which they fill the strip, until it has `items`. `categories`: the
    only ones wanted; prices are bounds, in the catalogue's currency. An item whose category or
    price is not known passes no filter of it.
    `exclude`: what lies in the cart, the item on the page, what the shopper ever bought. What is
    sold out is never admitted.
    """

    items: Annotated[int, Meta(ge=1, le=100)] = 10
    sources: Annotated[tuple[Source, ...], Meta(min_length=1)] = (
        "own",
        "similar",
        "category",
        "store",
        "now",
        "trending",
    )
    categories: tuple[str, ...] = ()
    not_categories: tuple[str, ...] = ()
    min_price: _Price | None = None
    max_price: _Price | None = None
    exclude: tuple[Exclusion, ...] = ("cart", "item")

    def admits(self, item: CatalogueItem | None) -> bool:
        """Whether the filters let an item through; None: nothing is known of it."""
        if item is None:
            return not (self.categories or self.min_price is not None or self.max_price is not None)
        if item.is_sold_out:
            return False
        if self.categories and item.category not in self.categories:
            return False
        if item.category in self.not_categories:
            return False
        if self.min_price is None and self.max_price is None:
            return True
        price = item.price
        return (
            price is not None
            and (self.min_price is None or price >= self.min_price)
            and (self.max_price is None or price <= self.max_price)
        )


DEFAULTS: Mapping[str, Placement] = {
    "home": Placement(items=20, sources=("own", "store", "now", "trending")),
    "product": Placement(items=10, sources=("similar", "own", "category", "trending")),
    "basket": Placement(items=5),
}


def parse_placements(configured: Mapping[str, object]) -> dict[str, Placement]:
    """The shop's placements by name, on top of the defaults.

    Raises:
        SettingsError: one has the wrong form; the message names it and what fits.
    """
    found = dict(DEFAULTS)
    for name, fields in configured.items():
        try:
            found[name] = msgspec.convert(fields, Placement)
        except msgspec.ValidationError as error:
            raise SettingsError(
                f"The placement {name} is wrong: {error}.{_hint(fields)} See docs/http.md for what "
                "a placement has."
            ) from error
        least, most = found[name].min_price, found[name].max_price
        if least is not None and most is not None and least > most:
            raise SettingsError(
                f"The placement {name} is wrong: min_price {least:g} is above max_price {most:g}."
            )
    return found


def _hint(fields: object) -> str:
    known = Placement.__struct_fields__
    unknown = [name for name in fields if name not in known] if isinstance(fields, Mapping) else []
    return did_you_mean(str(unknown[0]), known) if unknown else ""


def chosen(
    rows: Iterable[ShownItem],
    known: Mapping[str, CatalogueItem],
    placement: Placement,
    without: set[str],
) -> Iterator[ShownItem]:
    """The rows that the placement admits, in their order; each is put into `without`."""
    for row in rows:
        if row.id not in without and placement.admits(known.get(row.id)):
            without.add(row.id)
            yield row
