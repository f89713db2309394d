"""The demo's shop for the assistant: a real household's purchases, the bundle's catalogue."""

from collections.abc import Sequence
from functools import cache

import msgspec

from endcap.bundle import Bundle, load_bundle
from endcap.catalogue import CatalogueItem
from endcap.deploy.ask_selftest import VICTIM
from endcap.deploy.settings import DEMO_BUNDLE
from endcap.events import Event
from endcap.export.basket_events import baskets, purchase_event
from endcap.export.completejourney import household_lines

HOUSEHOLD = "1364"
STRAWBERRIES = "1135476"


@cache
def demo_bundle() -> Bundle:
    return load_bundle(DEMO_BUNDLE)


@cache
def purchases() -> Sequence[Event]:
    """Of the household, and of the one that is never to be told of."""
    return [purchase_event(basket) for basket in baskets(household_lines([HOUSEHOLD, VICTIM]))]


@cache
def catalogue() -> Sequence[CatalogueItem]:
    """Strawberries cost more before."""
    return [
        msgspec.structs.replace(item, previous_price=(item.price or 0) + 1)
        if item.item_id == STRAWBERRIES
        else item
        for item in demo_bundle().items
    ]
