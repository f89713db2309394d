"""A device turns out to be a person: what was done under its id moves to the person's session.

An `identify` event claims, for its user, everything that its device (`anonymous_id`) did up to
then. The device's own partition decides, because its log has the logins in their order; what is
claimed travels to the user's partition as a `Handover`.
"""

from collections.abc import Iterable, Sequence

import msgspec

from endcap.sessions import (
    ADD,
    MAX_INTERACTIONS,
    MAX_PURCHASED_ITEMS,
    Act,
    Interaction,
    Purchased,
    Session,
)

MAX_DEVICES = 16
"""Devices remembered of one person, the newest; an erasure reaches these."""
MAX_CLAIMS = 16
"""Logins on one device within the lateness."""


class Claim(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """What a device did up to `place` is the user's. `place` is an act without its items."""

    place: Act
    user_id: str


class Links(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Whom an id belongs to, or which devices belong to it.

    `claims`: those within the lateness, oldest first; an act that arrives after its claim follows
    it. `left`: how many acts were handed over. `devices`: whose sessions were taken in.
    `taken_offset`: the offset of the last parcel that was; what is read again is known by it.
    """

    claims: tuple[Claim, ...] = ()
    left: int = 0
    devices: tuple[str, ...] = ()
    taken_offset: int = -1


class Identification(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """An `identify` event on its way to the partition of its device."""

    act: Act
    anonymous_id: str
    user_id: str
    arrived_ms: int


class Handover(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """What a device did, on its way to the partition of its user.

    `session` is what was folded for good, `acts` what was not yet; `arrived_ms` the broker's
    timestamp of the event that led to this.
    """

    user_id: str
    anonymous_id: str
    session: Session
    acts: tuple[Act, ...]
    arrived_ms: int


Parcel = Identification | Handover

_decoder: msgspec.msgpack.Decoder[Parcel] = msgspec.msgpack.Decoder(Parcel)
_encoder = msgspec.msgpack.Encoder()


def recipient(parcel: Parcel) -> str:
    """The id in whose partition the parcel is opened."""
    return parcel.anonymous_id if isinstance(parcel, Identification) else parcel.user_id


def encode_parcel(parcel: Parcel) -> bytes:
    """Msgpack bytes for the topic `endcap.handovers`."""
    return _encoder.encode(parcel)


def decode_parcel(raw: bytes) -> Parcel:
    """The inverse of `encode_parcel`.

    Raises:
        msgspec.MsgspecError: the record is not one of ours.
    """
    return _decoder.decode(raw)


def in_time_order(session: Session) -> Session:
    """The session with all in it by time: what was taken in may be newer than the tail."""
    interactions = sorted(session.interactions, key=lambda p: (p.timestamp_ms, p.type_code))
    return msgspec.structs.replace(
        session,
        interactions=tuple(interactions),
        cart=_by_time_added(session.cart, interactions),
        purchased=tuple(sorted(session.purchased, key=lambda past: past.last_ms)),
    )


def _by_time_added(cart: Iterable[str], interactions: Sequence[Interaction]) -> tuple[str, ...]:
    added_ms: dict[str, int] = {}
    for past in interactions:
        if past.type_code == ADD:
            added_ms.setdefault(past.item_id, past.timestamp_ms)
    return tuple(sorted(cart, key=lambda item: added_ms.get(item, 0)))


def merge_sessions(one: Session, other: Session) -> Session:
    """Two sessions of one person as the session of all their acts.

    It is that session but for one thing that neither remembers: what was taken out of one cart
    before the same item was bought from the other keeps its look as `add_to_cart`.
    """
    spent_one, spent_other = _spent(one, other), _spent(other, one)
    spent = spent_one | spent_other
    interactions = sorted(
        (
            past
            for past in (*one.interactions, *other.interactions)
            if past.type_code != ADD or past.timestamp_ms > spent.get(past.item_id, -1)
        ),
        key=lambda past: (past.timestamp_ms, past.type_code),
    )
    cart = {item: None for item in one.cart if item not in spent_one} | {
        item: None for item in other.cart if item not in spent_other
    }
    purchased = {past.item_id: past for past in one.purchased}
    for past in other.purchased:
        known = purchased.get(past.item_id)
        purchased[past.item_id] = _together(known, past) if known else past
    return Session(
        one.user_id,
        tuple(interactions[-MAX_INTERACTIONS:]),
        _by_time_added(cart, interactions)[-MAX_INTERACTIONS:],
        tuple(sorted(purchased.values(), key=lambda p: p.last_ms)[-MAX_PURCHASED_ITEMS:]),
        one.events_folded + other.events_folded,
        max(one.updated_ms, other.updated_ms),
    )


def _spent(carrier: Session, buyer: Session) -> dict[str, int]:
    """Items in one cart that the other bought after they were put there, and when."""
    bought_ms = {
        past.item_id: past.last_ms for past in buyer.purchased if past.item_id in carrier.cart
    }
    if not bought_ms:
        return {}
    added_ms = {p.item_id: p.timestamp_ms for p in carrier.interactions if p.type_code == ADD}
    return {item: when for item, when in bought_ms.items() if when >= added_ms.get(item, 0)}


def _together(one: Purchased, other: Purchased) -> Purchased:
    last_ms = max(one.last_ms, other.last_ms)
    return Purchased(
        one.item_id,
        one.times + other.times,
        last_ms,
        min(one.first_ms, other.first_ms),
        one.decayed_at(last_ms) + other.decayed_at(last_ms),
    )
