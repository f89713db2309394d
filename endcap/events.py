"""Events as shops send them: decoded, validated, or refused with a reason.

The vocabulary follows Google Analytics 4 e-commerce (https://developers.google.com/analytics/
devguides/collection/ga4/ecommerce).
"""

from enum import StrEnum

import msgspec

from endcap.errors import InvalidEventError

MAX_FUTURE_MS = 5 * 60 * 1000
"""How far a producer's clock may run ahead of ours before its event is refused."""

MAX_ID_LENGTH = 256
"""In characters. Ids are kept in snapshots by the hundred: a longer one is a mistake upstream."""


class EventType(StrEnum):
    """What a shopper did."""

    VIEW_ITEM = "view_item"
    VIEW_ITEM_LIST = "view_item_list"
    SELECT_ITEM = "select_item"
    ADD_TO_CART = "add_to_cart"
    REMOVE_FROM_CART = "remove_from_cart"
    ADD_TO_WISHLIST = "add_to_wishlist"
    VIEW_CART = "view_cart"
    BEGIN_CHECKOUT = "begin_checkout"
    PURCHASE = "purchase"
    REFUND = "refund"
    SEARCH = "search"
    IDENTIFY = "identify"


class EventItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of an event: which item, at what unit price, how many."""

    item_id: str
    price: float | None = None
    quantity: int = 1


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing a shopper did. `timestamp_ms` is event time, Unix milliseconds UTC."""

    event_id: str
    user_id: str
    event_name: EventType
    timestamp_ms: int
    items: tuple[EventItem, ...] = ()
    transaction_id: str | None = None
    search_term: str | None = None
    anonymous_id: str | None = None


_NEEDS_ITEMS = frozenset(
    {
        EventType.VIEW_ITEM,
        EventType.SELECT_ITEM,
        EventType.ADD_TO_CART,
        EventType.REMOVE_FROM_CART,
        EventType.ADD_TO_WISHLIST,
        EventType.PURCHASE,
    }
)
_decoder = msgspec.json.Decoder(Event)
_encoder = msgspec.json.Encoder()


def encode_event(event: Event) -> bytes:
    """JSON bytes for the topic `endcap.events`."""
    return _encoder.encode(event)


def parse_event(raw: bytes | None, now_ms: int) -> Event:
    """Decode and validate one record's value.

    Raises:
        InvalidEventError: with a short `reason` for metrics and a sentence for the dead letter.
    """
    if not raw:
        raise InvalidEventError("empty", "The record has no value; send one JSON event per record.")
    try:
        event = _decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise InvalidEventError(
            "schema", f"{error}. See docs/events.md for the fields of an event."
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEventError(
            "not_json", f"The value is not JSON ({error}); send UTF-8 JSON."
        ) from error
    _check(event, now_ms)
    return event


def _check(event: Event, now_ms: int) -> None:
    if not event.event_id or not event.user_id:
        raise InvalidEventError("no_id", "event_id and user_id must not be empty.")
    if len(event.event_id) > MAX_ID_LENGTH or len(event.user_id) > MAX_ID_LENGTH:
        raise InvalidEventError(
            "long_id", f"event_id and user_id may have at most {MAX_ID_LENGTH} characters."
        )
    if event.timestamp_ms <= 0:
        raise InvalidEventError("time", "timestamp_ms must be Unix milliseconds, above 0.")
    if event.timestamp_ms > now_ms + MAX_FUTURE_MS:
        ahead_s = (event.timestamp_ms - now_ms) // 1000
        raise InvalidEventError(
            "future",
            f"timestamp_ms lies {ahead_s} s ahead of this clock; at most "
            f"{MAX_FUTURE_MS // 1000} s are allowed. Check the producer's clock and its unit.",
        )
    if event.event_name in _NEEDS_ITEMS and not event.items:
        raise InvalidEventError("no_items", f"{event.event_name} needs at least one item.")
    if event.event_name is EventType.PURCHASE and not event.transaction_id:
        raise InvalidEventError("no_transaction_id", "purchase needs a transaction_id.")
    if event.event_name is EventType.IDENTIFY and not event.anonymous_id:
        raise InvalidEventError("no_anonymous_id", "identify needs an anonymous_id.")
    for item in event.items:
        if not item.item_id:
            raise InvalidEventError("no_item_id", "each item needs an item_id.")
        if len(item.item_id) > MAX_ID_LENGTH:
            raise InvalidEventError(
                "long_id", f"an item_id may have at most {MAX_ID_LENGTH} characters."
            )
        if item.price is not None and item.price < 0:
            raise InvalidEventError("price", f"item {item.item_id} has the price {item.price} < 0.")
        if item.quantity < 1:
            raise InvalidEventError(
                "quantity", f"item {item.item_id} has the quantity {item.quantity} < 1."
            )
