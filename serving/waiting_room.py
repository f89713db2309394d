"""Whose lists wait to be made: bounded, the newest snapshot of each shopper, mostly newest first.

Snapshots come by two lanes. What is read from the sessions topic holds its offset back from the
commit until its list is written. What the fold hands over itself comes by the topic again, and is
then known (docs/decisions/0021).
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import NamedTuple

from endcap.serving import metrics
from endcap.serving.snapshots import place_of

WAITING_ROOM = 20_000
"""Shoppers; a snapshot of a busy one takes a few kilobytes."""
LONGEST_SHARE = 4
"""One place in so many of a full batch is for those who have waited longest. While more come than
can be served, the newest alone would leave who paused just then without a list until the rush is
over."""


class Waiting:
    """One shopper's newest snapshot; None where the session has ended.

    `held` is the record that answers for it after a crash: its partition and offset.
    """

    __slots__ = ("held", "is_done", "raw", "since", "user_id")

    def __init__(
        self, user_id: str, raw: bytes | None, held: tuple[Hashable, int] | None = None
    ) -> None:
        self.user_id = user_id
        self.raw = raw
        self.held = held
        self.since = time.perf_counter()
        self.is_done = False


class Taken(NamedTuple):
    """A batch: sessions that have ended, to be deleted first, and snapshots to be scored."""

    ended: list[Waiting]
    snapshots: list[Waiting]


class WaitingRoom:
    """At most `size` shoppers. All calls come from one event loop."""

    def __init__(self, size: int = WAITING_ROOM) -> None:
        self._size = size
        self._snapshots: OrderedDict[str, Waiting] = OrderedDict()
        self._ended: dict[str, Waiting] = {}
        self._ahead: OrderedDict[str, Waiting] = OrderedDict()
        """Handed over by the fold and not yet read back."""
        self._in_flight: set[Waiting] = set()
        self._somebody = asyncio.Event()
        self._went = asyncio.Event()
        self._turn = asyncio.Event()
        self.catch_up: Callable[[], None] = _nothing_to_come
        """Called before what has just been read of the topic: where the fold is another process, it
        takes in what that has handed over until now. What it says of a session must not be heard
        after the session's end."""

    def __len__(self) -> int:
        return len(self._snapshots) + len(self._ended)

    @property
    def unfinished(self) -> int:
        """Who waits, and whose list is being made or written."""
        return len(self) + len(self._in_flight)

    @property
    def half(self) -> int:
        """As many may come at once where nobody is to be shed."""
        return max(1, self._size // 2)

    @property
    def is_half_full(self) -> bool:
        """Who can wait elsewhere should: the other half is for those who come now."""
        return len(self) >= self.half

    def read(self, partition: Hashable, offset: int, user_id: str, raw: bytes | None) -> None:
        """A record of the sessions topic."""
        held = partition, offset
        if raw is None:
            self._ahead.pop(user_id, None)
            self._end(Waiting(user_id, None, held))
        elif not self._is_answered(user_id, raw, held):
            self._ahead.pop(user_id, None)
            self._put(Waiting(user_id, raw, held))

    def hand_over(self, snapshots: Mapping[str, bytes | None]) -> None:
        """What the fold has just made; it comes by the topic again."""
        for user_id, raw in snapshots.items():
            if raw is None:
                self._ahead.pop(user_id, None)
                if len(self._ended) < self._size:
                    self._end(Waiting(user_id, None))
                continue
            handed = Waiting(user_id, raw)
            self._put(handed)
            self._ahead[user_id] = handed
            self._ahead.move_to_end(user_id)
        while len(self._ahead) > 2 * self._size:
            self._ahead.popitem(last=False)

    async def take(self, at_most: int) -> Taken:
        """The newest who wait, when somebody does; nobody after `wake()`.

        Where not all fit, `1 / LONGEST_SHARE` of the places go to who has waited longest.
        """
        await self._somebody.wait()
        ended = list(self._ended.values())
        self._ended.clear()
        count = min(at_most, len(self._snapshots))
        longest = at_most // LONGEST_SHARE if count < len(self._snapshots) else 0
        snapshots = [self._snapshots.popitem()[1] for _ in range(count - longest)]
        snapshots += [self._snapshots.popitem(last=False)[1] for _ in range(longest)]
        if not self._snapshots:
            self._somebody.clear()
        self._in_flight.update(ended, snapshots)
        self._went.set()
        now = time.perf_counter()
        for each in snapshots:
            metrics.WAIT_SECONDS.observe(now - each.since)
        return Taken(ended, snapshots)

    async def somebody_went(self, timeout_s: float) -> None:
        """Returns when a batch is taken, or after so long."""
        self._went.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._went.wait(), timeout_s)

    def done(self, taken: Taken) -> None:
        """Redis has answered for all of it."""
        for each in (*taken.ended, *taken.snapshots):
            each.is_done = True
            each.raw = each.raw if self._ahead.get(each.user_id) is each else None
        self._in_flight.difference_update(taken.ended, taken.snapshots)
        self._turn.set()

    async def is_idle_for(self, seconds: float) -> bool:
        """True once every list is written, and for so long since; False as soon as somebody waits,
        or at `wake()`."""
        while not self._somebody.is_set():
            self._turn.clear()
            try:
                await asyncio.wait_for(self._turn.wait(), seconds)
            except TimeoutError:
                if not self._in_flight:
                    return True
        return False

    def wake(self) -> None:
        """Let `take()` return with what there is."""
        self._call()

    def lowest_held(self) -> dict[Hashable, int]:
        """By partition, the lowest offset that still waits or is in flight."""
        lowest: dict[Hashable, int] = {}
        groups: tuple[Iterable[Waiting], ...] = (
            self._snapshots.values(),
            self._ended.values(),
            self._in_flight,
        )
        for group in groups:
            for each in group:
                if each.held is not None:
                    partition, offset = each.held
                    lowest[partition] = min(offset, lowest.get(partition, offset))
        return lowest

    def _is_answered(self, user_id: str, raw: bytes, held: tuple[Hashable, int]) -> bool:
        """Whether the fold has handed over this snapshot, or a later one of its partition."""
        ahead = self._ahead.get(user_id)
        if ahead is None or ahead.raw is None:
            return False
        if ahead.raw == raw:
            del self._ahead[user_id]
        else:
            place, known = place_of(raw), place_of(ahead.raw)
            if place is None or known is None or place[0] != known[0] or place[1] >= known[1]:
                return False
        metrics.SKIPPED.inc()
        if ahead.is_done:
            ahead.raw = ahead.raw if user_id in self._ahead else None
        else:
            ahead.held = held
        return True

    def _call(self) -> None:
        self._somebody.set()
        self._turn.set()

    def _end(self, ending: Waiting) -> None:
        """What waits of the shopper is of no use; a newer one comes by the topic."""
        for before in (self._snapshots.pop(ending.user_id, None), self._ended.get(ending.user_id)):
            if before is not None:
                ending.held = ending.held or before.held
        self._ended[ending.user_id] = ending
        self._call()

    def _put(self, arrived: Waiting) -> None:
        before = self._snapshots.pop(arrived.user_id, None)
        if before is not None:
            metrics.COALESCED.inc()
            arrived.held = arrived.held or before.held
        self._snapshots[arrived.user_id] = arrived
        self._call()
        if len(self._snapshots) > self._size:
            self._shed()

    def _shed(self) -> None:
        """The stalest goes. Where only the fold knows of it, the topic brings it once more."""
        _, stalest = self._snapshots.popitem(last=False)
        if self._ahead.get(stalest.user_id) is stalest:
            del self._ahead[stalest.user_id]
        if stalest.held is None:
            metrics.LEFT_TO_TOPIC.inc()
        else:
            metrics.SHED.inc()


def _nothing_to_come() -> None:
    """The fold hands over by itself."""
