"""Snapshots as the sessions topic brings them: one that cannot be read ends nobody's work."""

import logging
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from endcap.serving import metrics
from endcap.sessions import Session
from endcap.timeline import decode_snapshot, source_of

log = logging.getLogger(__name__)

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Read(NamedTuple):
    """A session with its tail folded, and when its newest event reached Kafka."""

    session: Session
    arrived_ms: int


def read_snapshots(raw: Iterable[bytes]) -> list[Read]:
    """Those that can be read, in their order; the others are counted and passed over."""
    found = []
    for each in raw:
        try:
            snapshot = decode_snapshot(each)
            found.append(Read(snapshot.session, snapshot.arrived_ms))
        except _UNREADABLE as error:
            _passed_over(str(error))
    return found


def key_of(key: bytes | None) -> str | None:
    """Whose record it is; None for a key that is none, which is counted."""
    try:
        if key is not None:
            return key.decode()
        _passed_over("it has no key")
    except UnicodeDecodeError:
        _passed_over("its key is not UTF-8")
    return None


def place_of(raw: bytes) -> tuple[int, int] | None:
    """Source partition and offset, where they can be read."""
    try:
        return source_of(raw)
    except _UNREADABLE:
        return None


def _passed_over(why: str) -> None:
    metrics.UNREADABLE.inc()
    log.warning("passed over a record of the sessions topic that cannot be read: %s", why)
