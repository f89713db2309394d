"""Who waits for a shopper's list hears when it is written: Redis tells, nobody asks in a loop.

What is heard is that there is something new, for the shopper or, for who has no list, for
everybody. What of it may be shown is read as any other list is: through the rules in force.
"""

import asyncio
import contextlib

from prometheus_client import Counter, Gauge

from endcap.errors import EndcapError
from endcap.lists import TRENDING_KEY, rec_key
from endcap.serving.followed_keys import FollowedKeys

MAX_LISTENERS = 1000
_EVERYBODYS = TRENDING_KEY.encode()

LISTENERS = Gauge("endcap_list_listeners", "Pages that wait for a shopper's next list")
REFUSED = Counter("endcap_list_listeners_refused_total", "Pages sent away: too many listen already")
CHANGES = Counter("endcap_list_changes_total", "Lists read again because Redis said they changed")


class TooManyListenersError(EndcapError):
    """As many pages listen as one process serves."""


class ListChanges:
    """Shared by all pages of a process. `run()` reads and listens until it is cancelled."""

    def __init__(self, url: str, most: int = MAX_LISTENERS) -> None:
        """`url`: of one server, or with `?cluster=true` of a node of a Redis Cluster."""
        self._most = most
        self._listeners = 0
        self._watched: dict[bytes, _Watched] = {_EVERYBODYS: _Watched()}
        self._keys = FollowedKeys(url, self._heard, self._live_changed)
        self._keys.follow(_EVERYBODYS)
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
            self._keys.follow(key)
            watched.is_live = self._is_live(key, watched)
        listener = Listener(self, key, watched)
        watched.listeners.add(listener)
        if watched.is_known or not watched.is_live:
            listener.wake()
        if self._is_closed:
            listener.end()
        return listener

    async def run(self) -> None:
        """Follow Redis, and again after it was away."""
        await self._keys.run()

    def close(self) -> None:
        """Every listener ends, those that come later at once: the process stops."""
        self._is_closed = True
        for watched in self._watched.values():
            for listener in watched.listeners:
                listener.end()

    def wake_all(self) -> None:
        """Everybody looks again: what of a list may be shown has changed."""
        for watched in self._watched.values():
            watched.wake()

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
            self._keys.forget(key)

    def _heard(self, key: bytes, raw: bytes | None) -> None:
        watched = self._watched.get(key)
        if watched is None or (watched.is_known and raw == watched.raw):
            return
        watched.is_known, watched.raw = True, raw
        watched.is_live = self._is_live(key, watched)
        watched.wake()
        CHANGES.inc()
        if key == _EVERYBODYS:
            for each in self._watched.values():
                if each.is_known and each.raw is None:
                    each.wake()

    def _live_changed(self) -> None:
        for key, watched in self._watched.items():
            is_live = self._is_live(key, watched)
            if is_live != watched.is_live:
                watched.is_live = is_live
                watched.wake()

    def _is_live(self, key: bytes, watched: "_Watched") -> bool:
        """Of who has no list of their own, everybody's must be heard of too."""
        heard = self._keys.is_live
        return heard(key) and (watched.raw is not None or heard(_EVERYBODYS))


class Listener:
    """One page's ear. Of several changes it hears once: whoever is woken reads what there is."""

    def __init__(self, changes: ListChanges, key: bytes, watched: "_Watched") -> None:
        self._changes = changes
        self._key = key
        self._watched = watched
        self._woken = asyncio.Event()
        self.is_ended = False

    @property
    def is_live(self) -> bool:
        """False while Redis cannot be followed."""
        return self._watched.is_live

    async def next(self, timeout_s: float) -> bool:
        """Whether the list, everybody's for who has none, or `is_live` may have changed; False:
        nothing did for so long, or it has ended."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), timeout_s)
        if self.is_ended or not self._woken.is_set():
            return False
        self._woken.clear()
        return True

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
        self.is_live = True
        self.raw: bytes | None = None

    def wake(self) -> None:
        for listener in self.listeners:
            listener.wake()
