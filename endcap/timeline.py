"""A shopper's acts put in event-time order as they arrive, whatever the order of their arrival.

The newest acts lie in a tail beside the session that all older ones were folded into. An act that
arrives out of order goes to its place in the tail, and the tail is folded again: nobody waits for
stragglers, and the session is the one that the right order gives. An act older than the allowed
lateness comes too late; so the tail stays short.
"""

from bisect import bisect
from enum import StrEnum
from typing import NamedTuple

import msgspec

from endcap.sessions import Act, Session, fold, fold_acts

DEFAULT_LATENESS_MS = 60_000
MAX_TAIL = 128
"""A shopper with more acts within the lateness has the oldest of them sealed early."""
_SEAL_AT = 16
REMEMBERED_IDS = 64
"""Beside the tail's own ids, which are all known: a client retries within seconds."""
_DIGEST = 8


class Outcome(StrEnum):
    """What became of an act."""

    FOLDED = "folded"
    DUPLICATE = "duplicate"
    LATE = "late"


class Timeline(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`session_before` holds every act below `tail`; `sealed` is the order of the last of them.

    `newest_ms` is the newest event time, no further ahead than the arrival of its event: a clock
    that runs ahead must not make everybody else's events late. `remembered` holds the digests of
    the last acts to arrive, 8 bytes each.
    """

    session_before: Session
    tail: tuple[Act, ...] = ()
    remembered: bytes = b""
    newest_ms: int = 0
    sealed: Act | None = None

    def session(self) -> Session:
        """The session in event-time order: the tail folded on top."""
        return fold_acts(self.session_before, self.tail)


class Placed(NamedTuple):
    """The timeline after an act, and its session, already folded."""

    timeline: Timeline
    session: Session
    outcome: Outcome


class Snapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A timeline with the place in the source up to which it has been folded.

    `source_offset` is the offset of the last event of this shopper; who restores this snapshot
    skips records at or below it. `arrived_ms` is the broker's timestamp of that record.
    """

    timeline: Timeline
    source_partition: int
    source_offset: int
    arrived_ms: int

    @property
    def session(self) -> Session:
        """The session in event-time order."""
        return self.timeline.session()


_decoder = msgspec.msgpack.Decoder(Snapshot)
_encoder = msgspec.msgpack.Encoder()


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Msgpack bytes for the topic `endcap.sessions`."""
    return _encoder.encode(snapshot)


def decode_snapshot(raw: bytes) -> Snapshot:
    """The inverse of `encode_snapshot`.

    Raises:
        msgspec.ValidationError: the record is not one of ours.
    """
    return _decoder.decode(raw)


def place(
    timeline: Timeline,
    session: Session,
    act: Act,
    arrived_ms: int,
    lateness_ms: int = DEFAULT_LATENESS_MS,
) -> Placed:
    """Put an act where its time belongs. `session` is `timeline.session()`, which a caller holds.

    For acts within the lateness the session that results does not depend on the order of arrival,
    nor on repeats.
    """
    tail = timeline.tail
    if _is_known(timeline, act):
        return Placed(timeline, session, Outcome.DUPLICATE)
    sealed = timeline.sealed
    is_sealed = sealed is not None and _place_of(act) <= sealed
    if is_sealed or act.timestamp_ms < timeline.newest_ms - lateness_ms:
        return Placed(timeline, session, Outcome.LATE)
    before = timeline.session_before
    newest_ms = max(timeline.newest_ms, min(act.timestamp_ms, arrived_ms))
    if not tail or act > tail[-1]:
        if tail and tail[-1].timestamp_ms < newest_ms - lateness_ms:
            before, sealed, tail = session, _place_of(tail[-1]), (act,)
        else:
            tail = (*tail, act)
        session = fold(session, act)
    else:
        at = bisect(tail, act)
        tail = (*tail[:at], act, *tail[at:])
        session = fold_acts(before, tail)
    if len(tail) > _SEAL_AT:
        count = _sealable(tail, newest_ms - lateness_ms)
        if count:
            before, sealed = fold_acts(before, tail[:count]), _place_of(tail[count - 1])
            tail = tail[count:]
    remembered = (timeline.remembered + act.digest)[-REMEMBERED_IDS * _DIGEST :]
    return Placed(Timeline(before, tail, remembered, newest_ms, sealed), session, Outcome.FOLDED)


def _sealable(tail: tuple[Act, ...], horizon_ms: int) -> int:
    """How many of the oldest acts nothing can come before any more."""
    count = 0
    while count < len(tail) and tail[count].timestamp_ms < horizon_ms:
        count += 1
    return max(count, len(tail) - MAX_TAIL)


def _place_of(act: Act) -> Act:
    """The act without its items: they do not count in the order of different ids."""
    return Act(act.timestamp_ms, act.type_code, act.digest)


def _is_known(timeline: Timeline, act: Act) -> bool:
    at = timeline.remembered.find(act.digest)
    while at >= 0:
        if at % _DIGEST == 0:
            return True
        at = timeline.remembered.find(act.digest, at + 1)
    if len(timeline.remembered) < REMEMBERED_IDS * _DIGEST:
        return False
    return any(past.digest == act.digest for past in timeline.tail)
