"""A connection on which Redis says which of the keys that were read on it have changed.

`CLIENT TRACKING ON` (RESP3, Redis 6 and later): Redis pushes the name of such a key once, when it
was written, deleted, has expired or was flushed.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import hiredis

from endcap.serving.redis_connection import Connection, connect

Changed = Callable[[Sequence[bytes] | None], None]
"""Called with the keys that have changed; None: everything was flushed."""
_INVALIDATE = b"invalidate"


async def open_tracking(url: str, changed: Changed) -> "TrackingConnection":
    """Connected, with tracking on.

    Raises:
        OSError: nobody answers there, or not in time.
        hiredis.ReplyError: the server is too old, or the user may not.
    """
    connection = await connect(url, lambda: TrackingConnection(changed))
    try:
        await connection.ask("HELLO", 3)
        await connection.ask("CLIENT", "TRACKING", "ON")
    except BaseException:
        connection.hang_up()
        raise
    return connection


class TrackingConnection(Connection):
    """Hands the keys of an invalidation to `changed`; all else are answers."""

    def __init__(self, changed: Changed) -> None:
        super().__init__()
        self._reader = _WithoutPushes(changed)
        self.lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Where no answer is waited for, whatever came is pushes.
        if not self._asked:
            self._reader.gets()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.lost.set()


class _WithoutPushes(hiredis.Reader):
    """A reader that gives answers alone."""

    def __init__(self, changed: Changed) -> None:
        super().__init__()
        self._changed = changed

    def gets(self, *how: Any) -> Any:
        """The next answer; False: not there yet."""
        while isinstance(reply := super().gets(*how), hiredis.PushNotification):
            if reply[0] == _INVALIDATE:
                self._changed(reply[1])
        return reply
