"""Every shopper's newest session, for reading, in a store of this process's own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition

from endcap.sessions import Session
from endcap.streams.session_store import SessionStore, memory_store, rows_of
from endcap.streams.topic_follower import TopicFollower
from endcap.timeline import decode_snapshot
from endcap.topics import Topics


class SessionView(TopicFollower):
    """Implements the HTTP server's session reader.

    With a store on disk it holds no more sessions in memory than the store does, and a restart
    reads the topic's tail alone.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Topics,
        open_store: Callable[[int], SessionStore] = memory_store,
    ) -> None:
        super().__init__(bootstrap_servers, topics.sessions.name)
        self._open_store = open_store
        self._stores: dict[int, SessionStore] = {}

    async def session(self, user_id: str) -> Session | None:
        """The newest session read so far."""
        for store in self._stores.values():
            raw = store.get(user_id)
            if raw is not None:
                return decode_snapshot(raw).session
        return None

    async def stop(self) -> None:
        """Stop following, and give the stores back."""
        await super().stop()
        for store in self._stores.values():
            store.close()

    def _resume(self, partition: int, beginning: int, end: int) -> int:
        store = self._stores.get(partition)
        if store is None:
            store = self._stores[partition] = self._open_store(partition)
        if store.position > end:  # the topic was made anew
            store.clear()
        return max(store.position, beginning)

    def _keep(self, batches: Mapping[TopicPartition, Sequence[Any]]) -> None:
        for tp, records in batches.items():
            self._stores[tp.partition].put(rows_of(records), records[-1].offset + 1)
