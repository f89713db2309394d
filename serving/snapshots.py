"""Snapshots as the sessions topic brings them: one that cannot be read ends nobody's work."""

import logging
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from endcap.decoding import name_in
from endcap.serving import metrics
from endcap.sessions import Session
from endcap.timeline import decode_snapshot, source_of

log = logging.getLogger(__name__)


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
        except msgspec.DecodeError as error:
            _passed_over(str(error))
    return found


def key_of(key: bytes | None) -> str | None:
    """Whose record it is; None for a key that is none, which is counted."""
    user_id = name_in(key)
    if user_id is None:
        _passed_over("its key is missing, or no UTF-8")
    return user_id


def place_of(raw: bytes) -> tuple[int, int] | None:
    """Source partition and offset, where they can be read."""
    try:
        return source_of(raw)
    except msgspec.DecodeError:
        return None


def _passed_over(why: str) -> None:
    metrics.UNREADABLE.inc()
    log.warning("passed over a record of the sessions topic that cannot be read: %s", why)
