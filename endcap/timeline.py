"""A shopper's acts put in event-time order as they arrive, whatever the order of their arrival.

The newest acts lie in a tail beside the session that all older ones were folded into. An act that
arrives out of order goes to its place in the tail, and who reads the session folds the tail on
top: nobody waits for stragglers, and the session is the one that the right order gives. An act
older than the allowed lateness comes too late; so the tail stays short.
"""

from bisect import bisect_right, insort
from enum import StrEnum

import msgspec

from endcap.decoding import decode_with
from endcap.identity import MAX_CLAIMS, MAX_DEVICES, Claim, Handover, Links
from endcap.sessions import Act, Session, fold_acts, merge_sessions

DEFAULT_LATENESS_MS = 60_000
MAX_TAIL = 512
"""A shopper with more acts within the lateness has the oldest of them sealed early."""
SEAL_AT = 16
REMEMBERED_IDS = 64
"""Beside the tail's own ids, which are all known: a client retries within seconds."""
_DIGEST = 8
_REMEMBERED = REMEMBERED_IDS * _DIGEST


class Outcome(StrEnum):
    """What became of an act."""

    FOLDED = "folded"
    DUPLICATE = "duplicate"
    LATE = "late"
    HANDED_OVER = "handed_over"


_FOLDED, _DUPLICATE, _LATE, _HANDED_OVER = Outcome
_NO_LINKS = Links()


class Timeline(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`session_before` holds every act below `tail`; `sealed` is the order of the last of them.

    `newest_ms` is the newest event time, no further ahead than the arrival of its event: a clock
    that runs ahead must not make everybody else's events late. `remembered` holds the digests of
    the last acts to arrive, 8 bytes each. `links` says whom an anonymous id belongs to.
    """

    session_before: Session
    tail: tuple[Act, ...] = ()
    remembered: bytes = b""
    newest_ms: int = 0
    sealed: Act | None = None
    links: Links | None = None

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
        msgspec.DecodeError: the record is not one of ours.
    """
    return decode_with(_decoder, raw)


class _SeenTimeline(msgspec.Struct, array_like=True, gc=False):
    session_before: msgspec.Raw
    tail: msgspec.Raw
    remembered: msgspec.Raw
    newest_ms: int


class _Seen(msgspec.Struct, array_like=True, gc=False):
    timeline: _SeenTimeline


_seen_decoder = msgspec.msgpack.Decoder(_Seen)


def newest_ms_of(raw: bytes) -> int:
    """The newest event time of a snapshot as written, without decoding the rest of it.

    Raises:
        msgspec.DecodeError: the record is not one of ours.
    """
    return decode_with(_seen_decoder, raw).timeline.newest_ms


class _Placed(msgspec.Struct, array_like=True, gc=False):
    timeline: msgspec.Raw
    source_partition: int
    source_offset: int


_placed_decoder = msgspec.msgpack.Decoder(_Placed)


def source_of(raw: bytes) -> tuple[int, int]:
    """Source partition and offset of a snapshot as written, without decoding the rest of it.

    Raises:
        msgspec.DecodeError: the record is not one of ours.
    """
    placed = decode_with(_placed_decoder, raw)
    return placed.source_partition, placed.source_offset


class OpenTimeline:
    """A timeline while acts are put into it: changed in place, for the one batch that owns it.

    `placed` counts the acts that were folded, here or into the session of who claimed them.
    """

    __slots__ = (
        "_before",
        "_claims",
        "_leaving",
        "_links",
        "_newest_ms",
        "_remembered",
        "_sealed",
        "_tail",
        "placed",
    )

    def __init__(self, timeline: Timeline) -> None:
        self.placed = 0
        self._links = timeline.links or _NO_LINKS
        self._claims = self._links.claims
        self._leaving: dict[str, tuple[Session, list[Act]]] = {}
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
        if self._claims and self._follows_a_claim(act):
            return _HANDED_OVER
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

    def identify(
        self, act: Act, user_id: str, arrived_ms: int, lateness_ms: int = DEFAULT_LATENESS_MS
    ) -> Outcome:
        """Hand all that this id did up to `act` over to its user, `act` with it.

        What the same id does later is nobody's until the next who identifies: people who share a
        device are not mixed.
        """
        claim, claims = Claim(_place_of(act), user_id), self._claims
        if self._sealed is not None and claim.place <= self._sealed:
            return _LATE
        self._claims = _with_claim(claims, claim)
        outcome = self.place(act, arrived_ms, lateness_ms)
        if outcome is not _HANDED_OVER:
            self._claims = claims
            return outcome
        count = bisect_right(self._tail, act)
        self._leave(user_id, self._tail[:count], self._before)
        del self._tail[:count]
        return outcome

    def adopt(self, handover: Handover) -> int:
        """Take in what a device did; returns how many of its acts were not known yet.

        Nothing of it is late: it was put in order where it came from. None of it waits in the
        tail: a session takes acts in any order, and a long visit must not seal this shopper's own.
        """
        own = [past.digest for past in self._tail]
        acts = [a for a in handover.acts if a.digest not in own and not self._is_known(a.digest)]
        self._remembered += b"".join([act.digest for act in acts])
        if handover.session.events_folded:
            self._before = merge_sessions(self._before, handover.session)
        self._before = fold_acts(self._before, acts)
        devices = [known for known in self._links.devices if known != handover.anonymous_id]
        self._links = msgspec.structs.replace(
            self._links, devices=(*devices, handover.anonymous_id)[-MAX_DEVICES:]
        )
        return handover.session.events_folded + len(acts)

    def has_taken(self, offset: int) -> bool:
        """Whether the parcel at this offset was opened before; it is, from now on."""
        if offset <= self._links.taken_offset:
            return True
        self._links = msgspec.structs.replace(self._links, taken_offset=offset)
        return False

    def handovers(self, arrived_ms: int) -> list[Handover]:
        """What leaves for other sessions, one a user."""
        own = self._before.user_id
        return [
            Handover(user_id, own, session, tuple(acts), arrived_ms)
            for user_id, (session, acts) in self._leaving.items()
        ]

    def close(self, lateness_ms: int = DEFAULT_LATENESS_MS) -> Timeline:
        """The timeline after these acts, its oldest sealed where the tail has grown long."""
        if len(self._tail) > SEAL_AT:
            self._seal_to(self._newest_ms - lateness_ms)
        links = self._links
        if self._claims:
            # An act that belongs to an older claim would be late.
            horizon_ms = self._newest_ms - lateness_ms
            claims = tuple([c for c in self._claims if c.place.timestamp_ms >= horizon_ms])
            links = msgspec.structs.replace(links, claims=claims)
        return Timeline(
            self._before,
            tuple(self._tail),
            self._remembered[-_REMEMBERED:],
            self._newest_ms,
            self._sealed,
            None if links is _NO_LINKS else links,
        )

    def _follows_a_claim(self, act: Act) -> bool:
        place = _place_of(act)
        for claim in self._claims:
            if place <= claim.place:
                self._remembered += act.digest
                self.placed += 1
                self._leave(claim.user_id, [act])
                return True
        return False

    def _leave(self, user_id: str, acts: list[Act], session: Session | None = None) -> None:
        """Move acts, and the session where it is given, to what leaves for a user."""
        before, left = self._before, self._links.left + len(acts)
        theirs, others = self._leaving.setdefault(user_id, (Session(user_id), []))
        others += acts
        if session is None:
            folded = before.events_folded + len(acts)
            self._before = msgspec.structs.replace(before, events_folded=folded)
        else:
            own = session.events_folded - self._links.left
            left += own
            taken = msgspec.structs.replace(session, user_id=user_id, events_folded=own)
            self._leaving[user_id] = merge_sessions(theirs, taken), others
            updated_ms = max([before.updated_ms, *(act.timestamp_ms for act in acts)])
            self._before = Session(before.user_id, events_folded=left, updated_ms=updated_ms)
        self._links = msgspec.structs.replace(self._links, left=left)

    def _seal_to(self, horizon_ms: int) -> None:
        tail, count = self._tail, 0
        while count < len(tail) and tail[count].timestamp_ms < horizon_ms:
            count += 1
        if count:
            self._seal(count)

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


def _with_claim(claims: tuple[Claim, ...], claim: Claim) -> tuple[Claim, ...]:
    """In order; of neighbours that are the same user's the later says it all."""
    ordered = sorted((*claims, claim))
    following = (*ordered[1:], None)
    return tuple(
        c
        for c, next_c in zip(ordered, following, strict=True)
        if next_c is None or next_c.user_id != c.user_id
    )[-MAX_CLAIMS:]


def _place_of(act: Act) -> Act:
    """The act without its items: they do not count in the order of different ids."""
    return Act(act.timestamp_ms, act.type_code, act.digest)
