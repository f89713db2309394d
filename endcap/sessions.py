"""A shopper's session state, and the fold that every consumer of events shares."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from endcap.events import Event, EventType

MAX_INTERACTIONS = 50
MAX_PURCHASED_ITEMS = 256
HALF_LIFE_MS = 45 * 86_400_000
MAX_REMEMBERED_IDS = 128
"""A client retries within seconds; 128 ids of one shopper reach back much further."""

_TYPE_CODE = {kind: code for code, kind in enumerate(EventType, start=1)}
_INTERACTIONS = frozenset(
    {
        EventType.VIEW_ITEM,
        EventType.SELECT_ITEM,
        EventType.ADD_TO_CART,
        EventType.ADD_TO_WISHLIST,
        EventType.PURCHASE,
    }
)


class Interaction(NamedTuple):
    """An item touched: `type_code` is the model's input (1..12, in EventType's order)."""

    item_id: str
    type_code: int
    timestamp_ms: int


class Purchased(NamedTuple):
    """How often an item was bought (by transactions), when first and last.

    `decayed` counts with a half-life of `HALF_LIFE_MS`, as of `last_ms`: habits of last spring
    weigh less than this month's (recency-aware frequency, Faggioli et al., UMAP 2020).
    """

    times: int
    last_ms: int
    first_ms: int
    decayed: float

    def decayed_at(self, now_ms: int) -> float:
        """The decayed count at a later time."""
        elapsed_ms = max(0, now_ms - self.last_ms)
        return self.decayed * float(0.5 ** (elapsed_ms / HALF_LIFE_MS))


class Session(msgspec.Struct, frozen=True):
    """What is known of one shopper. Every collection is bounded, newest last."""

    user_id: str
    interactions: tuple[Interaction, ...] = ()
    cart: tuple[str, ...] = ()
    purchased: dict[str, Purchased] = {}
    remembered_ids: tuple[str, ...] = ()
    events_folded: int = 0
    updated_ms: int = 0


class Snapshot(msgspec.Struct, frozen=True):
    """A session with the place in the source up to which it has been folded.

    `source_offset` is the offset of the last event folded in; a worker that restores this
    snapshot skips records at or below it. `arrived_ms` is the broker's timestamp of that record.
    """

    session: Session
    source_partition: int
    source_offset: int
    arrived_ms: int


_snapshot_decoder = msgspec.msgpack.Decoder(Snapshot)
_snapshot_encoder = msgspec.msgpack.Encoder()


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Msgpack bytes for the topic `endcap.sessions`."""
    return _snapshot_encoder.encode(snapshot)


def decode_snapshot(raw: bytes) -> Snapshot:
    """The inverse of `encode_snapshot`.

    Raises:
        msgspec.ValidationError: the record is not one of ours.
    """
    return _snapshot_decoder.decode(raw)


def type_code(kind: EventType) -> int:
    """The model's input for an event type; 0 is padding."""
    return _TYPE_CODE[kind]


def is_duplicate(session: Session, event: Event) -> bool:
    """Whether this event id has been folded into the session already."""
    return event.event_id in session.remembered_ids


def fold(session: Session, event: Event) -> Session:
    """The session after one more event; the same session when the event is a duplicate.

    >>> from endcap.events import EventItem
    >>> view = Event(event_id="e1", user_id="u", event_name=EventType.VIEW_ITEM, timestamp_ms=5,
    ...              items=(EventItem("milk"),))
    >>> once = fold(Session("u"), view)
    >>> once.interactions[0].item_id, fold(once, view) == once
    ('milk', True)
    """
    if is_duplicate(session, event):
        return session
    kind = event.event_name
    interactions = session.interactions
    if kind in _INTERACTIONS:
        code = _TYPE_CODE[kind]
        touched = tuple(Interaction(i.item_id, code, event.timestamp_ms) for i in event.items)
        if kind is EventType.PURCHASE:
            # What was put into the cart and then bought is one intention, not two.
            bought = {i.item_id for i in event.items}
            add_code = _TYPE_CODE[EventType.ADD_TO_CART]
            interactions = tuple(
                past
                for past in interactions
                if past.type_code != add_code
                or past.item_id not in bought
                or past.item_id not in session.cart
            )
        interactions = (interactions + touched)[-MAX_INTERACTIONS:]
    return Session(
        user_id=session.user_id,
        interactions=interactions,
        cart=_cart_after(session.cart, event),
        purchased=_purchased_after(session.purchased, event),
        remembered_ids=(*session.remembered_ids, event.event_id)[-MAX_REMEMBERED_IDS:],
        events_folded=session.events_folded + 1,
        updated_ms=max(session.updated_ms, event.timestamp_ms),
    )


def fold_all(events: Iterable[Event]) -> dict[str, Session]:
    """Fold a whole stream in its order: the plain result that the workers must equal."""
    sessions: dict[str, Session] = {}
    for event in events:
        sessions[event.user_id] = fold(sessions.get(event.user_id) or Session(event.user_id), event)
    return sessions


def _cart_after(cart: tuple[str, ...], event: Event) -> tuple[str, ...]:
    kind = event.event_name
    if kind is EventType.ADD_TO_CART:
        new = tuple(i.item_id for i in event.items if i.item_id not in cart)
        return (cart + new)[-MAX_INTERACTIONS:]
    if kind is EventType.REMOVE_FROM_CART or kind is EventType.PURCHASE:
        gone = {i.item_id for i in event.items}
        return tuple(item for item in cart if item not in gone)
    return cart


def _purchased_after(purchased: dict[str, Purchased], event: Event) -> dict[str, Purchased]:
    if event.event_name is not EventType.PURCHASE:
        return purchased
    after = dict(purchased)
    for item in event.items:
        past = after.pop(item.item_id, Purchased(0, 0, event.timestamp_ms, 0.0))
        after[item.item_id] = Purchased(
            past.times + 1,
            max(past.last_ms, event.timestamp_ms),
            min(past.first_ms, event.timestamp_ms),
            past.decayed_at(event.timestamp_ms) + 1.0,
        )
    for item_id in list(after)[: max(0, len(after) - MAX_PURCHASED_ITEMS)]:
        del after[item_id]
    return after
