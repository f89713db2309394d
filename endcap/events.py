"""Events as shops send them: decoded, validated, or refused with a reason.

The vocabulary follows Google Analytics 4 e-commerce (https://developers.google.com/analytics/
devguides/collection/ga4/ecommerce).
"""

from enum import StrEnum
from typing import Annotated, Literal, NoReturn, Self

import msgspec
from msgspec import Meta

from endcap.consent import DENIED, refuse_denied, refuse_denied_row
from endcap.decoding import decode_with
from endcap.errors import ConsentDeniedError, InvalidEventError
from endcap.wrong_fields import EARLIEST_MS, in_words

MAX_FUTURE_MS = 5 * 60 * 1000
"""How far a producer's clock may run ahead of ours before its event is refused."""

MAX_ID_LENGTH = 256
"""In characters. Ids are kept in snapshots by the hundred: a longer one is a mistake upstream."""


MAX_ITEMS = 500
"""Lines of one event. The acts of a shopper must fit a record of Kafka."""


class EventType(StrEnum):
    """What a shopper did. `code` (1..12) is the model's input; 0 is padding.

    Attributes, not dictionaries: an enum's hash is a call in Python, and these are asked for each
    event.
    """

    code: int
    needs_items: bool

    def __new__(cls, value: str, code: int, needs_items: bool = False) -> Self:
        """A member is its name in GA4, with what the fold needs to know of it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.code = code
        member.needs_items = needs_items
        return member

    VIEW_ITEM = "view_item", 1, True
    VIEW_ITEM_LIST = "view_item_list", 2
    SELECT_ITEM = "select_item", 3, True
    ADD_TO_CART = "add_to_cart", 4, True
    REMOVE_FROM_CART = "remove_from_cart", 5, True
    ADD_TO_WISHLIST = "add_to_wishlist", 6, True
    VIEW_CART = "view_cart", 7
    BEGIN_CHECKOUT = "begin_checkout", 8
    PURCHASE = "purchase", 9, True
    REFUND = "refund", 10
    SEARCH = "search", 11
    IDENTIFY = "identify", 12


_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]


class EventItem(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One line of an event: which item, at what unit price, how many."""

    item_id: _Id
    price: Annotated[float, Meta(ge=0)] | None = None
    quantity: Annotated[int, Meta(ge=1)] = 1


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One thing a shopper did. `timestamp_ms` is event time, Unix milliseconds UTC."""

    event_id: _Id
    user_id: _Id
    event_name: EventType
    timestamp_ms: Annotated[int, Meta(ge=EARLIEST_MS)]
    items: Annotated[tuple[EventItem, ...], Meta(max_length=MAX_ITEMS)] = ()
    transaction_id: str | None = None
    search_term: str | None = None
    anonymous_id: str | None = None
    store_id: Annotated[str, Meta(max_length=MAX_ID_LENGTH)] | None = None
    consent: Literal["granted", "denied"] | None = None


_decoder = msgspec.json.Decoder(Event)
_any_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


def home_of(event: Event) -> str:
    """The id that keys the event: its user's, but of `identify` its device's.

    A device's log has the logins on it in their order, whoever logs in.
    """
    if event.event_name is EventType.IDENTIFY and event.anonymous_id:
        return event.anonymous_id
    return event.user_id


def encode_event(event: Event) -> bytes:
    """JSON bytes for the topic `endcap.events`."""
    return _encoder.encode(event)


def parse_event(raw: bytes | None, now_ms: int) -> Event:
    """Decode and validate one record's value.

    Raises:
        ConsentDeniedError: the shopper has refused; whatever else is wrong, nothing of it is kept.
        InvalidEventError: with a short `reason` for metrics and a sentence for the dead letter.
    """
    refuse_denied(raw)
    try:
        event = decode_with(_decoder, raw or b"")
    except msgspec.DecodeError as error:
        _refuse(raw, error)
    if event.consent == DENIED:  # by letters that JSON escapes
        raise ConsentDeniedError
    if event.timestamp_ms > now_ms + MAX_FUTURE_MS:
        ahead_s = (event.timestamp_ms - now_ms) // 1000
        raise InvalidEventError(
            "future",
            f"timestamp_ms lies {ahead_s} s ahead of this clock; at most "
            f"{MAX_FUTURE_MS // 1000} s are allowed. Check the producer's clock and its unit.",
        )
    kind = event.event_name
    if kind.needs_items and not event.items:
        raise InvalidEventError("no_items", f"{kind} needs at least one item.")
    if kind is EventType.PURCHASE and not event.transaction_id:
        raise InvalidEventError("no_transaction_id", "purchase needs a transaction_id.")
    if kind is EventType.IDENTIFY and not event.anonymous_id:
        raise InvalidEventError("no_anonymous_id", "identify needs an anonymous_id.")
    return event


_CHOICES = {"event_name": tuple(EventType)}
_REASONS = {
    "event_id": "id",
    "user_id": "id",
    "item_id": "item_id",
    "price": "price",
    "quantity": "quantity",
    "timestamp_ms": "time",
    "items": "too_many_items",
}
"""By the field that breaks its bounds; a field that is missing or of another type is `schema`."""


def _refuse(raw: bytes | None, error: Exception) -> NoReturn:
    if not raw:
        reason, says = "empty", "The record has no value; send one JSON event per record."
    elif not isinstance(error, msgspec.ValidationError):
        reason, says = "not_json", f"The value is not JSON ({error}); send UTF-8 JSON."
    else:
        _refuse_denied_by_its_row(raw)
        reason = _reason_of(str(error))
        says = f"{in_words(error, _CHOICES)}. See docs/events.md for the fields of an event."
    raise InvalidEventError(reason, says) from error


def _refuse_denied_by_its_row(raw: bytes) -> None:
    """Denied by letters that JSON escapes, and wrong as well: no dead letter either."""
    try:
        row = decode_with(_any_decoder, raw)
    except msgspec.DecodeError:
        return  # no JSON behind what was wrong first: there is no field to be read
    if isinstance(row, dict):
        refuse_denied_row(row)


def _reason_of(said: str) -> str:
    """msgspec says "Expected `str` of length >= 1 - at `$.event_id`": the bound, then the path."""
    bound, _, path = said.partition(" - at `$")
    field = path.rstrip("`").rpartition(".")[2].partition("[")[0]
    if "length >= " in bound:
        return f"no_{_REASONS.get(field, 'schema')}"
    if "length <= " in bound:
        return "long_id" if field.endswith("_id") else _REASONS.get(field, "schema")
    if " >= " in bound:
        return _REASONS.get(field, "schema")
    return "schema"
