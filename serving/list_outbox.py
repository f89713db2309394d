"""Lists on their way to a store that may be away: the newest of each shopper, a bounded number."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple, Protocol

from prometheus_client import Counter, Gauge

from endcap.errors import StoreUnavailableError
from endcap.lists import RecommendationList
from endcap.serving import metrics

log = logging.getLogger(__name__)

KEPT = Gauge("endcap_lists_kept", "Shoppers whose list waits for Redis to come back")
DROPPED = Counter(
    "endcap_lists_dropped_total", "Waiting lists dropped, oldest first, because too many waited"
)
MAX_KEPT = 20_000
MAX_ROUND = 256
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


class Writer(Protocol):
    """The store behind."""

    async def write_lists(self, lists: Mapping[str, RecommendationList]) -> int:
        """Write all; returns how many were newer than what was held."""
        ...

    async def delete_lists(self, user_ids: Sequence[str]) -> int:
        """Forget lists; returns how many there were."""
        ...


class _Kept(NamedTuple):
    """What is to become of a shopper's list. A list that follows a deletion may have a lower
    version than the one deleted, so the deletion is not forgotten."""

    is_deleted: bool
    ready: RecommendationList | None


class Done(NamedTuple):
    """What a round did in the store."""

    written: int = 0
    deleted: int = 0


class ListOutbox:
    """A list writer that returns at once while the store is away, and writes all when it is back.

    What must not be forgotten is committed by its caller only while `waiting` is 0: what waits here
    ends with the process. Where `take_dropped()` is not 0, the caller reads again from what it
    committed last.
    """

    def __init__(self, writer: Writer, max_kept: int = MAX_KEPT) -> None:
        """`max_kept`: shoppers; of more, those that wait longest are dropped."""
        self._writer = writer
        self._max_kept = max_kept
        self._kept: dict[str, _Kept] = {}
        self._dropped = 0
        self._one_round = asyncio.Lock()
        self._waiting: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Shoppers whose list, or its deletion, the store has not answered for."""
        return len(self._kept)

    def take_dropped(self) -> int:
        """How many were dropped since this was asked last."""
        dropped, self._dropped = self._dropped, 0
        return dropped

    async def write_lists(self, lists: Mapping[str, RecommendationList]) -> int:
        """How many were newer than what was held, of all that was written now; 0 while away."""
        for user_id, ready in lists.items():
            # What is renewed goes to the end: it waits from now on.
            self._kept[user_id] = _newer(self._kept.pop(user_id, None), ready)
        return (await self._at_once()).written

    async def delete_lists(self, user_ids: Sequence[str]) -> int:
        """How many there were, of all that was deleted now; 0 while away."""
        for user_id in user_ids:
            self._kept.pop(user_id, None)
            self._kept[user_id] = _Kept(True, None)
        return (await self._at_once()).deleted

    async def settled(self) -> None:
        """Returns when nothing waits any more."""
        while self._waiting is not None:
            await asyncio.shield(self._waiting)

    async def close(self) -> None:
        """Wait no longer for the store."""
        if self._waiting is not None:
            self._waiting.cancel()
            with suppress(asyncio.CancelledError):
                await self._waiting

    async def _at_once(self) -> Done:
        self._keep_the_bound()
        if self._waiting is not None:
            return Done()
        try:
            return await self._empty()
        except StoreUnavailableError as error:
            log.warning("%s Its lists are kept until it is back.", error)
            metrics.REDIS_RETRIES.inc()
            if self._waiting is None:
                self._waiting = asyncio.create_task(self._until_it_is_back())
            return Done()
        finally:
            KEPT.set(len(self._kept))

    def _keep_the_bound(self) -> None:
        too_many = len(self._kept) - self._max_kept
        for user_id in list(islice(self._kept, max(0, too_many))):
            del self._kept[user_id]
        if too_many > 0:
            self._dropped += too_many
            DROPPED.inc(too_many)
        KEPT.set(len(self._kept))

    async def _until_it_is_back(self) -> None:
        pause_s = FIRST_PAUSE_S
        try:
            while self._kept:
                await asyncio.sleep(pause_s)
                try:
                    await self._empty()
                except StoreUnavailableError:
                    metrics.REDIS_RETRIES.inc()
                    pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
        finally:
            self._waiting = None
            KEPT.set(len(self._kept))

    async def _empty(self) -> Done:
        done = Done()
        async with self._one_round:
            while self._kept:
                one = await self._round(dict(islice(self._kept.items(), MAX_ROUND)))
                done = Done(done.written + one.written, done.deleted + one.deleted)
        return done

    async def _round(self, due: Mapping[str, _Kept]) -> Done:
        """1. Delete, 2. write, 3. forget what has not been replaced meanwhile."""
        ended = [user_id for user_id, kept in due.items() if kept.is_deleted]
        ready = {user_id: kept.ready for user_id, kept in due.items() if kept.ready is not None}
        deleted = await self._writer.delete_lists(ended) if ended else 0
        written = await self._writer.write_lists(ready) if ready else 0
        for user_id, kept in due.items():
            if self._kept.get(user_id) is kept:
                del self._kept[user_id]
        return Done(written, deleted)


def _newer(held: _Kept | None, ready: RecommendationList) -> _Kept:
    if held is None:
        return _Kept(False, ready)
    if held.ready is not None and held.ready.version > ready.version:
        return held
    return _Kept(held.is_deleted, ready)
