"""What shops call the things that shoppers do, as the events that endcap knows."""

from collections.abc import Mapping

from endcap.errors import DataError
from endcap.events import EventType
from endcap.near_names import did_you_mean

LEFT_OUT = "ignore"
"""The name for a type of theirs that is of no use here."""

_ALSO_CALLED = {
    EventType.VIEW_ITEM: "view views viewed pv pageview page_view product_view detail detailview "
    "click clicks clicked",
    EventType.ADD_TO_CART: "cart carts addtocart add_cart cart_add basket add_to_basket",
    EventType.REMOVE_FROM_CART: "removefromcart remove_cart cart_remove",
    EventType.ADD_TO_WISHLIST: "fav favorite favourite wishlist addtowishlist",
    EventType.PURCHASE: "buy buys bought transaction transactions order orders ordered purchased "
    "purchases sale",
    EventType.REFUND: "return returned",
}


def event_codes(explicit: Mapping[str, str]) -> dict[str, int]:
    """The code of `EventType` by a shop's name in lower case; 0: not an act upon one item, or one
    to be left out.

    `explicit` ({"impression": "ignore", "pdp": "view_item"}) goes before what is known anyway.

    Raises:
        DataError: `explicit` names no type of endcap.
    """
    names = {str(kind): kind for kind in EventType}
    for kind, others in _ALSO_CALLED.items():
        names |= dict.fromkeys(others.split(), kind)
    codes = {name: kind.code if kind.needs_items else 0 for name, kind in names.items()}
    for theirs, ours in explicit.items():
        if ours != LEFT_OUT and ours not in names:
            known = (*EventType, LEFT_OUT)
            raise DataError(
                f"--event-type {theirs}={ours}: {ours!r} is no type.{did_you_mean(ours, known)} "
                f"Known: {', '.join(known)}."
            )
        codes[theirs.strip().lower()] = 0 if ours == LEFT_OUT else codes[ours]
    return codes
