"""Every shopper's newest purchases, as their events told them, in a store of this process's own.

Who was erased is told nobody, from the moment of the request on: raw events outlive an erasure by
the topic's retention (docs/streams.md), and a copy made of them must not.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import TopicPartition

from endcap.erasure import Erased, Registry, Request, understood
from endcap.errors import BrokerUnavailableError, InvalidEventError
from endcap.events import Event, EventType, parse_event
from endcap.streams.session_store import SessionStore, memory_store
from endcap.streams.topic_follower import TopicFollower
from endcap.topics import Topics

MAX_ORDERS = 60
"""Of one shopper; the newest by event time."""
_MARK = b'"purchase"'
_ANY_TIME = 2**62
_DAY_MS = 86_400_000


class _Bought(msgspec.Struct, frozen=True, array_like=True):
    user_id: str
    events: list[Event]


class _Erasures(TopicFollower):
    """Who was erased, and up to when; tells `forget` of each request."""

    def __init__(
        self, bootstrap_servers: str, topics: Topics, secret: str, forget: Callable[[str], None]
    ) -> None:
        super().__init__(bootstrap_servers, topics.erasures.name)
        self.registry = Registry(secret)
        self.asked: set[str] = set()
        """Requests on their way, which the registry does not have yet."""
        self._forget = forget

    def _keep(self, batches: Mapping[TopicPartition, Sequence[Any]]) -> None:
        for records in batches.values():
            for record in records:
                match understood(record.value):
                    case None:  # a tombstone ends the request that has the same key
                        self.asked.discard((record.key or b"").decode(errors="replace"))
                    case Request(user_id=user_id):
                        self.asked.add(user_id)
                        self._forget(user_id)
                    case Erased() as entry:
                        self.registry.add(entry)


class OrderView(TopicFollower):
    """Follows the events topic; `secret`: the register's of erased ids; `keep_days`: older
    purchases are dropped, by event time (0: none).

    What a device bought before its login is not among a person's orders: here each event is its
    `user_id`'s.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Topics,
        open_store: Callable[[int], SessionStore] = memory_store,
        secret: str = "",
        keep_days: int = 0,
    ) -> None:
        super().__init__(bootstrap_servers, topics.events.name)
        self._open_store = open_store
        self._stores: dict[int, SessionStore] = {}
        self._erasures = _Erasures(bootstrap_servers, topics, secret, self._forget)
        self._keep_ms = keep_days * _DAY_MS
        self._decoder = msgspec.msgpack.Decoder(_Bought)
        self._is_read = False

    async def start(self) -> None:
        """Read who was erased, then the events; follow both in the background.

        1. The erasures first: nothing of somebody erased is ever held.
        2. Drop what the store still has of people erased while this process was down.
        3. The events.

        Raises:
            BrokerUnavailableError: no broker answers.
        """
        await self._erasures.start()
        try:
            await super().start()
        except BaseException:
            await self._erasures.stop()
            raise
        self._is_read = True

    async def stop(self) -> None:
        """Stop following, and give the stores back."""
        await super().stop()
        await self._erasures.stop()
        for store in self._stores.values():
            store.close()

    async def purchases(self, user_id: str) -> Sequence[Event]:
        """A shopper's purchases read so far, newest first.

        Raises:
            BrokerUnavailableError: they have not been read yet.
        """
        if not self._is_read:
            raise BrokerUnavailableError("Orders have not been read from Kafka yet; ask again.")
        for store in self._stores.values():
            raw = store.get(user_id)
            if raw is not None:
                return self._allowed(self._decoder.decode(raw))
        return ()

    def _allowed(self, held: _Bought) -> list[Event]:
        """Less what was erased: requests that are on their way count from now."""
        if held.user_id in self._erasures.asked:
            return []
        until_ms = self._erasures.registry.until_ms(held.user_id)
        return [event for event in held.events if event.timestamp_ms > until_ms]

    def _forget(self, user_id: str) -> None:
        for store in self._stores.values():
            if store.get(user_id) is not None:
                store.put({user_id: None}, store.position)

    def _resume(self, partition: int, beginning: int, end: int) -> int:
        store = self._stores.get(partition)
        if store is None:
            store = self._stores[partition] = self._open_store(partition)
            self._drop_erased(store)
        if store.position > end:  # the topic was made anew
            store.clear()
        return max(store.position, beginning)

    def _drop_erased(self, store: SessionStore) -> None:
        held = [self._decoder.decode(raw) for raw in store.next_rows(len(store))]
        gone: dict[str, bytes | None] = {
            each.user_id: None for each in held if not self._allowed(each)
        }
        if gone:
            store.put(gone, store.position)

    def _keep(self, batches: Mapping[TopicPartition, Sequence[Any]]) -> None:
        for tp, records in batches.items():
            store = self._stores[tp.partition]
            fresh: dict[str, list[Event]] = {}
            for record in records:
                event = _purchase(record.value)
                if event is not None:
                    fresh.setdefault(event.user_id, []).append(event)
            rows = {user: self._merged(store.get(user), user, new) for user, new in fresh.items()}
            store.put(rows, records[-1].offset + 1)

    def _merged(self, raw: bytes | None, user_id: str, new: Sequence[Event]) -> bytes | None:
        held = [] if raw is None else self._decoder.decode(raw).events
        by_id = {event.event_id: event for event in (*held, *new)}
        ordered = sorted(by_id.values(), key=lambda e: (e.timestamp_ms, e.event_id), reverse=True)
        if self._keep_ms and ordered:
            oldest_ms = ordered[0].timestamp_ms - self._keep_ms
            ordered = [event for event in ordered if event.timestamp_ms >= oldest_ms]
        kept = self._allowed(_Bought(user_id, ordered[:MAX_ORDERS]))
        return msgspec.msgpack.encode(_Bought(user_id, kept)) if kept else None


def _purchase(raw: bytes | None) -> Event | None:
    """The event, if it is a purchase; what cannot be read is the session worker's to tell."""
    if raw is None or _MARK not in raw:
        return None
    try:
        event = parse_event(raw, _ANY_TIME)
    except InvalidEventError:
        return None
    return event if event.event_name is EventType.PURCHASE else None
