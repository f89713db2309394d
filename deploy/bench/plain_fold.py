"""What a trial left in the topics, against the plain fold of all events that were sent."""

from collections import Counter
from collections.abc import Sequence

from msgspec import structs

from endcap.events import Event
from endcap.sessions import Session, fold_all
from endcap.streams.clients import read_whole
from endcap.streams.item_deltas import COUNTED, decode_deltas
from endcap.timeline import Snapshot, decode_snapshot
from endcap.topics import Topics


async def compare_with_plain_fold(
    bootstrap_servers: str, topics: Topics, events: Sequence[Event]
) -> dict[str, int]:
    """How many events of sessions and of item deltas are lost or doubled, and how many sessions
    are of the right events in another order."""
    sessions: dict[str, Snapshot] = {}
    async for record in read_whole(bootstrap_servers, topics.sessions.name):
        sessions[record.key.decode()] = decode_snapshot(record.value)
    counted: Counter[tuple[int, int]] = Counter()
    async for record in read_whole(bootstrap_servers, topics.item_deltas.name):
        counted.update((d.source_partition, d.source_offset) for d in decode_deltas(record.value))
    expected = fold_all(events)
    lost = doubled = out_of_order = 0
    for user_id in expected.keys() | sessions.keys():
        plain = expected.get(user_id, Session(user_id))
        found = _without_what_left(sessions.get(user_id), user_id)
        missing = plain.events_folded - found.events_folded
        lost += max(0, missing)
        doubled += max(0, -missing)
        out_of_order += missing == 0 and _told(found) != _told(plain)
    demand = sum(event.event_name.code in COUNTED for event in events)
    return {
        "lost": lost,
        "doubled": doubled,
        "out_of_order": out_of_order,
        "shoppers": len(expected),
        "unique_events": len(events),
        "logins": sum(event.anonymous_id is not None for event in events),
        "deltas_lost": max(0, demand - len(counted)),
        "deltas_doubled": counted.total() - len(counted),
    }


def _without_what_left(snapshot: Snapshot | None, user_id: str) -> Session:
    """The session, where a device's count is of the events that are still its own."""
    if snapshot is None:
        return Session(user_id)
    session, links = snapshot.session, snapshot.timeline.links
    left = links.left if links else 0
    return structs.replace(session, events_folded=session.events_folded - left)


def _told(session: Session) -> object:
    """What the session says, but for the last digits of sums that were made in another order. Of
    the cart: what was last done with an item, and when; what was before that may be forgotten."""
    carted = [(c.item_id, c.at_ms, c.added_ms > c.removed_ms) for c in session.carted]
    purchased = [structs.replace(p, decayed=round(p.decayed, 6)) for p in session.purchased]
    return session.interactions, carted, purchased
