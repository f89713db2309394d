"""Sessions as the topic holds them, kept in memory for reading: the storefront's view."""

import asyncio
import contextlib
from typing import Any

from endcap.sessions import Session, decode_snapshot
from endcap.streams.clients import started_consumer
from endcap.topics import Topics


class SessionsInMemory:
    """Follows the sessions topic from its beginning; every shopper's newest session."""

    def __init__(self, bootstrap_servers: str, topics: Topics) -> None:
        self._bootstrap = bootstrap_servers
        self._topic = topics.sessions.name
        self._held: dict[str, Session] = {}
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow.

        Raises:
            BrokerUnavailableError: no broker answers.
        """
        consumer = await started_consumer(self._bootstrap, self._topic)
        self._following = asyncio.create_task(self._follow(consumer))

    async def session(self, user_id: str) -> Session | None:
        """The newest session read so far."""
        return self._held.get(user_id)

    async def stop(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following

    async def _follow(self, consumer: Any) -> None:
        try:
            async for record in consumer:
                user_id = record.key.decode()
                if record.value is None:
                    self._held.pop(user_id, None)
                else:
                    self._held[user_id] = decode_snapshot(record.value).session
        finally:
            await consumer.stop()
