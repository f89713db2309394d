"""A shopper's acts put in event-time order as they arrive, whatever the order of their arrival.

The newest acts lie in a tail beside the session that all older ones were folded into. An act that
arrives out of order goes to its place in the tail, and who reads the session folds the tail on
top: nobody waits for stragglers, and the session is the one that the right order gives. An act
older than the allowed lateness comes too late; so the tail stays short.
"""

from bisect import insort
from enum import StrEnum

import msgspec

from endcap.sessions import Act, Session, fold_acts

DEFAULT_LATENESS_MS = 60_000
MAX_TAIL = 128
"""A shopper with more acts within the lateness has the oldest of them sealed early."""
_SEAL_AT = 16
REMEMBERED_IDS = 64
"""Beside the tail's own ids, which are all known: a client retries within seconds."""
_DIGEST = 8
_REMEMBERED = REMEMBERED_IDS * _DIGEST


class Outcome(StrEnum):
    """What became of an act."""

    FOLDED = "folded"
    DUPLICATE = "duplicate"
    LATE = "late"


_FOLDED, _DUPLICATE, _LATE = Outcome


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


class OpenTimeline:
    """A timeline while acts are put into it: changed in place, for the one batch that owns it.

    `placed` counts the acts that were folded.
    """

    __slots__ = ("_before", "_newest_ms", "_remembered", "_sealed", "_tail", "placed")

    def __init__(self, timeline: Timeline) -> None:
        self.placed = 0
        self._before = timeline.session_before
        self._tail = list(timeline.tail)
        self._remembered = timeline.remembered
        self._newest_ms = timeline.newest_ms
        self._sealed = timeline.sealed

    def place(self, act: Act, arrived_ms: int, lateness_ms: int = DEFAULT_LATENESS_MS) -> Outcome:
        """Put an act where its time belongs.

        For acts within the lateness the session that results does not depend on the order of
        arrival, nor on repeats.
        """
        digest, when, tail, newest_ms = act.digest, act.timestamp_ms, self._tail, self._newest_ms
        remembered = self._remembered
        # bytes.find is far quicker than any loop; where it finds something, alignment is checked.
        if remembered and remembered.find(digest) >= 0 and self._is_known(digest):
            return _DUPLICATE
        if len(remembered) >= _REMEMBERED and any(past.digest == digest for past in tail):
            return _DUPLICATE
        if when > newest_ms:
            # No further ahead than its arrival, and never back.
            seen_ms = when if when < arrived_ms else arrived_ms
            if seen_ms > newest_ms:
                self._newest_ms = seen_ms
        elif when < newest_ms - lateness_ms:
            return _LATE
        sealed = self._sealed
        if sealed is not None and when <= sealed.timestamp_ms and _place_of(act) <= sealed:
            return _LATE
        if not tail or when > tail[-1].timestamp_ms:
            tail.append(act)
        else:
            insort(tail, act)
        self._remembered = remembered + digest
        self.placed += 1
        if len(tail) > MAX_TAIL:
            self._seal(len(tail) - MAX_TAIL)
        return _FOLDED

    def close(self, lateness_ms: int = DEFAULT_LATENESS_MS) -> Timeline:
        """The timeline after these acts, its oldest sealed where the tail has grown long."""
        tail = self._tail
        if len(tail) > _SEAL_AT:
            horizon_ms, count = self._newest_ms - lateness_ms, 0
            while count < len(tail) and tail[count].timestamp_ms < horizon_ms:
                count += 1
            if count:
                self._seal(count)
        return Timeline(
            self._before,
            tuple(self._tail),
            self._remembered[-_REMEMBERED:],
            self._newest_ms,
            self._sealed,
        )

    def _seal(self, count: int) -> None:
        """Fold the oldest acts into the session: nothing may come before them any more."""
        self._before = fold_acts(self._before, self._tail[:count])
        self._sealed = _place_of(self._tail[count - 1])
        del self._tail[:count]

    def _is_known(self, digest: bytes) -> bool:
        remembered = self._remembered
        at = remembered.find(digest)
        while at >= 0:
            if at % _DIGEST == 0:
                return True
            at = remembered.find(digest, at + 1)
        return False


def _place_of(act: Act) -> Act:
    """The act without its items: they do not count in the order of different ids."""
    return Act(act.timestamp_ms, act.type_code, act.digest)
