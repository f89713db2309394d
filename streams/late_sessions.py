"""Sessions for a process that has other things to do while no broker answers."""

import asyncio
import contextlib
import logging

from endcap.errors import BrokerUnavailableError
from endcap.sessions import Session
from endcap.streams.session_view import SessionView

log = logging.getLogger(__name__)
_FIRST_RETRY_S, _LAST_RETRY_S = 0.5, 3.0


class LateSessions:
    """Implements the HTTP server's session reader over a view that may start late."""

    def __init__(self, view: SessionView) -> None:
        self._view = view
        self._is_read = False
        self._starting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the topic; where no broker answers, go on trying in the background."""
        try:
            await self._view.start()
            self._is_read = True
        except BrokerUnavailableError as error:
            log.warning("%s It is tried again; until then sessions are not known.", error)
            self._starting = asyncio.create_task(self._until_started())

    async def session(self, user_id: str) -> Session | None:
        """The newest session read so far.

        Raises:
            BrokerUnavailableError: the topic was not read yet.
        """
        if not self._is_read:
            raise BrokerUnavailableError("Sessions are not read yet: no Kafka broker has answered.")
        return await self._view.session(user_id)

    async def stop(self) -> None:
        """Stop following, and give the stores back."""
        if self._starting is not None:
            self._starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._starting
        await self._view.stop()

    async def _until_started(self) -> None:
        retry_s = _FIRST_RETRY_S
        while not self._is_read:
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, _LAST_RETRY_S)
            with contextlib.suppress(BrokerUnavailableError):
                await self._view.start()
                self._is_read = True
