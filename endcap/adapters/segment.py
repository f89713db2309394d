"""Segment's e-commerce specification, version 2.

https://segment.com/docs/connections/spec/ecommerce/v2/
"""

from collections.abc import Mapping
from typing import Any

from endcap.adapters.fields import epoch_ms, number, optional_text, quantity, text
from endcap.adapters.translation import Row
from endcap.errors import InvalidEventError
from endcap.events import Event, EventItem, EventType

SEGMENT_EVENTS: Mapping[str, EventType] = {
    "Product Viewed": EventType.VIEW_ITEM,
    "Product List Viewed": EventType.VIEW_ITEM_LIST,
    "Product Clicked": EventType.SELECT_ITEM,
    "Product Added": EventType.ADD_TO_CART,
    "Product Removed": EventType.REMOVE_FROM_CART,
    "Product Added to Wishlist": EventType.ADD_TO_WISHLIST,
    "Cart Viewed": EventType.VIEW_CART,
    "Checkout Started": EventType.BEGIN_CHECKOUT,
    "Order Completed": EventType.PURCHASE,
    "Order Refunded": EventType.REFUND,
    "Products Searched": EventType.SEARCH,
}


def segment(call: Row) -> Event | None:
    """Segment's `track` calls of the e-commerce specification, and `identify`."""
    kind = call.get("type")
    name = EventType.IDENTIFY if kind == "identify" else SEGMENT_EVENTS.get(str(call.get("event")))
    if kind not in {"track", "identify"} or name is None:
        return None
    said = _object(call.get("properties") or {}, "properties")
    products = said.get("products") or ([said] if said.get("product_id") else [])
    if not isinstance(products, list):
        raise InvalidEventError("schema", "properties.products is not an array.")
    user = call.get("userId")
    anonymous = call.get("anonymousId")
    return Event(
        event_id=text(call, "messageId"),
        user_id=str(user or anonymous or ""),
        event_name=name,
        timestamp_ms=epoch_ms(call.get("timestamp") or call.get("originalTimestamp"), "timestamp"),
        items=tuple(_item(_object(product, "properties.products")) for product in products),
        transaction_id=optional_text(said, "order_id"),
        search_term=optional_text(said, "query"),
        anonymous_id=str(anonymous) if anonymous and user else None,
    )


def _object(value: Any, field: str) -> Row:
    if not isinstance(value, Mapping):
        raise InvalidEventError("schema", f"{field} must hold objects.")
    return value


def _item(product: Row) -> EventItem:
    return EventItem(
        text(product, "product_id"),
        number(product.get("price"), "price"),
        quantity(product.get("quantity"), "quantity"),
    )
