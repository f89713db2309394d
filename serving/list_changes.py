"""Who waits for a shopper's list hears when it is written: Redis tells, nobody asks in a loop.

One connection reads all lists that somebody waits for, and everybody's for who has none, with
`CLIENT TRACKING ON` (RESP3, Redis 6 and later): Redis remembers which keys it has read, and pushes
the name of one that was written or deleted; then it is read again, and is tracked anew
(docs/decisions/0031).
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import hiredis
from prometheus_client import Counter, Gauge

from endcap.errors import EndcapError
from endcap.lists import TRENDING_KEY, rec_key
from endcap.serving.shared_reads import Connection, connect

log = logging.getLogger(__name__)

MAX_LISTENERS = 1000
PING_S = 5.0
"""So long a connection that died without a word may go unnoticed."""
_FIRST_RETRY_S, _LAST_RETRY_S = 0.05, 2.0
_INVALIDATE = b"invalidate"
_EVERYBODYS = TRENDING_KEY.encode()

LISTENERS = Gauge("endcap_list_listeners", "Pages that wait for a shopper's next list")
REFUSED = Counter("endcap_list_listeners_refused_total", "Pages sent away: too many listen already")
CHANGES = Counter("endcap_list_changes_total", "Lists read again because Redis said they changed")
RECONNECTS = Counter(
    "endcap_list_tracking_reconnects_total", "Attempts to track lists in Redis again after a loss"
)


class TooManyListenersError(EndcapError):
    """As many pages listen as one process serves."""


class Change(NamedTuple):
    """`raw`: the shopper's own list as it lies in Redis, None where there is none. Not `is_live`:
    Redis cannot be followed now, and `raw` is what it last said."""

    raw: bytes | None
    is_live: bool


class ListChanges:
    """Shared by all pages of a process. `run()` reads and listens until it is cancelled."""

    def __init__(self, url: str, most: int = MAX_LISTENERS) -> None:
        self._url = url
        self._most = most
        self._listeners = 0
        self._watched: dict[bytes, _Watched] = {_EVERYBODYS: _Watched()}
        self._connection: _TrackingConnection | None = None
        self._is_away = False
        self._reading: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def listen(self, user_id: str) -> "Listener":
        """Hear of this shopper's list, what there is now included; to be closed.

        Raises:
            TooManyListenersError: try again later.
        """
        if self._listeners >= self._most:
            REFUSED.inc()
            raise TooManyListenersError(
                f"{self._most} pages listen already. Ask for the list itself, or run more servers."
            )
        self._listeners += 1
        LISTENERS.inc()
        key = rec_key(user_id).encode()
        watched = self._watched.get(key)
        if watched is None:
            watched = self._watched[key] = _Watched()
            self._read([key])
        listener = Listener(self, key, watched)
        watched.listeners.add(listener)
        if watched.is_known or self._is_away:
            listener.wake()
        if self._is_closed:
            listener.end()
        return listener

    async def run(self) -> None:
        """Hold the connection, and bring it back with everybody's lists when it was lost."""
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                connection = await self._opened()
                retry_s = _FIRST_RETRY_S
                await self._until_lost(connection)
            except (OSError, hiredis.ReplyError) as error:
                self._say_away()
                if retry_s == _FIRST_RETRY_S:
                    log.warning(
                        "Lists in Redis are not followed (%s). It is tried again; it needs Redis "
                        "6 or later, and a user who may HELLO and CLIENT TRACKING.",
                        error,
                    )
            RECONNECTS.inc()
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, _LAST_RETRY_S)

    def close(self) -> None:
        """Every listener ends, those that come later at once: the process stops."""
        self._is_closed = True
        for watched in self._watched.values():
            for listener in watched.listeners:
                listener.end()

    def leave(self, key: bytes, listener: "Listener") -> None:
        """What nobody waits for any more is not read again."""
        watched = self._watched.get(key)
        if watched is None or listener not in watched.listeners:
            return
        watched.listeners.discard(listener)
        self._listeners -= 1
        LISTENERS.dec()
        if not watched.listeners:
            del self._watched[key]

    def now(self, watched: "_Watched") -> Change:
        """As of the last word from Redis."""
        return Change(watched.raw, not self._is_away)

    async def _opened(self) -> "_TrackingConnection":
        connection = await connect(self._url, lambda: _TrackingConnection(self._changed))
        try:
            await connection.ask([("HELLO", 3), ("CLIENT", "TRACKING", "ON")])
        except BaseException:
            connection.hang_up()
            raise
        return connection

    async def _until_lost(self, connection: "_TrackingConnection") -> None:
        try:
            if self._is_away:
                log.warning("Redis answers again: lists are followed.")
            self._is_away = False
            self._connection = connection
            for watched in self._watched.values():
                watched.is_known = False  # whatever is read now is news
            self._read(list(self._watched))
            while True:
                await connection.ask([("PING",)])
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(connection.lost.wait(), PING_S)
        finally:
            self._connection = None
            connection.hang_up()

    def _say_away(self) -> None:
        if not self._is_away:
            self._is_away = True
            for watched in self._watched.values():
                watched.wake()

    def _changed(self, keys: Sequence[bytes] | None) -> None:
        """None: everything was flushed."""
        self._read(
            [key for key in (self._watched if keys is None else keys) if key in self._watched]
        )

    def _read(self, keys: Sequence[bytes]) -> None:
        if keys and self._connection is not None:
            reading = asyncio.create_task(self._read_with(self._connection, keys))
            self._reading.add(reading)
            reading.add_done_callback(self._reading.discard)

    async def _read_with(self, connection: "_TrackingConnection", keys: Sequence[bytes]) -> None:
        try:
            found = await connection.ask([("GET", key) for key in keys])
        except (OSError, hiredis.ReplyError):
            connection.hang_up()  # `run` begins anew, with all keys
            return
        for key, raw in zip(keys, found, strict=True):
            watched = self._watched.get(key)
            if watched is not None and watched.take(raw):
                CHANGES.inc()
                if key == _EVERYBODYS:
                    self._wake_who_has_none()

    def _wake_who_has_none(self) -> None:
        for watched in self._watched.values():
            if watched.is_known and watched.raw is None:
                watched.wake()


class Listener:
    """One page's ear. It hears the newest list; those that came between are not kept for it."""

    def __init__(self, changes: ListChanges, key: bytes, watched: "_Watched") -> None:
        self._changes = changes
        self._key = key
        self._watched = watched
        self._woken = asyncio.Event()
        self.is_ended = False

    async def next(self, timeout_s: float) -> Change | None:
        """What has changed since it was asked last; None: nothing, for so long, or it has ended."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), timeout_s)
        if self.is_ended or not self._woken.is_set():
            return None
        self._woken.clear()
        return self._changes.now(self._watched)

    def wake(self) -> None:
        """There is something new."""
        self._woken.set()

    def end(self) -> None:
        """Nothing comes any more."""
        self.is_ended = True
        self._woken.set()

    def close(self) -> None:
        """It listens no more."""
        self._changes.leave(self._key, self)


class _Watched:
    """A key that somebody waits for."""

    def __init__(self) -> None:
        self.listeners: set[Listener] = set()
        self.is_known = False
        self.raw: bytes | None = None

    def take(self, raw: bytes | None) -> bool:
        """Whether it is another list than before."""
        if self.is_known and raw == self.raw:
            return False
        self.is_known, self.raw = True, raw
        self.wake()
        return True

    def wake(self) -> None:
        for listener in self.listeners:
            listener.wake()


class _TrackingConnection(Connection):
    """Hands the keys of an invalidation to `changed`; all else are answers."""

    def __init__(self, changed: Callable[[Sequence[bytes] | None], None]) -> None:
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

    def __init__(self, changed: Callable[[Sequence[bytes] | None], None]) -> None:
        super().__init__()
        self._changed = changed

    def gets(self, *how: Any) -> Any:
        """The next answer; False: not there yet."""
        while isinstance(reply := super().gets(*how), hiredis.PushNotification):
            if reply[0] == _INVALIDATE:
                self._changed(reply[1])
        return reply
