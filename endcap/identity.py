"""A device turns out to be a person: what was done under its id moves to the person's session.

An `identify` event claims, for its user, everything that its device (`anonymous_id`) did up to
then. The device's own partition decides, because its log has the logins in their order; what is
claimed travels to the user's partition as a `Handover`.
"""

import msgspec

from endcap.sessions import Act, Session

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
