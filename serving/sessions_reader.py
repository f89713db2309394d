"""The sessions topic into the waiting room, and back to its group what Redis has answered for."""

import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from endcap.serving import metrics
from endcap.serving.snapshots import key_of
from endcap.serving.waiting_room import WaitingRoom
from endcap.traces import CURRENT

log = logging.getLogger(__name__)

MAX_READ = 2000
COMMIT_EVERY_S = 0.25
_POLL_MS = 200


class SessionsReader:
    """Reads for a member of the group; commits the lowest offset that still waits."""

    def __init__(self, consumer: AIOKafkaConsumer, room: WaitingRoom) -> None:
        self._consumer = consumer
        self._room = room
        self._read: dict[TopicPartition, int] = {}
        self._known: set[TopicPartition] = set()
        self._behind: dict[TopicPartition, int] = {}
        """Where partitions new to us ended, until that is read."""
        self._committed: dict[TopicPartition, int] = {}
        self._was_away = False
        self._committed_at = time.monotonic()

    async def read(self, store_is_away: bool) -> None:
        """What is waiting, into the room.

        1. See which partitions are new.
        2. Where the room is half full, and this is no rush of events but an old backlog or a store
           that is away, let Kafka keep the rest: nothing of it is shed.
        3. Read.
        4. Now and then commit.
        """
        if self._was_away and not store_is_away:
            self._known = set()  # what has come meanwhile is a backlog
        self._was_away = store_is_away
        await self._look_how_far_behind()
        # Before the first assignment nobody knows what lies there.
        waits = bool(self._behind) or store_is_away or not self._known
        if waits and self._room.is_half_full:
            await self._room.somebody_went(_POLL_MS / 1000)
        else:
            at_most = min(MAX_READ, self._room.half) if waits else MAX_READ
            found = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=at_most)
            self._take_in(found)
        if time.monotonic() - self._committed_at > COMMIT_EVERY_S:
            await self.commit()

    def _take_in(self, found: Mapping[TopicPartition, Sequence[Any]]) -> None:
        self._room.catch_up()
        for source, records in found.items():
            metrics.READ.inc(len(records))
            traces = CURRENT.traces
            for record in records:
                user_id = key_of(record.key)
                if user_id is None:
                    continue
                self._room.read(source, record.offset, user_id, record.value)
                if traces is not None:
                    traces.read(user_id, record.headers)
            self._read[source] = records[-1].offset + 1

    async def commit(self) -> None:
        """Up to the lowest record that Redis has not answered for.

        Lists that were written since the last commit are written once more after a crash, which
        changes nothing.
        """
        self._committed_at = time.monotonic()
        held = self._room.lowest_held()
        owned = self._consumer.assignment()
        upto = {
            source: min(read, held.get(source, read))
            for source, read in self._read.items()
            if source in owned
        }
        await self._say_lag()
        offsets = {source: to for source, to in upto.items() if self._committed.get(source) != to}
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets)
            self._committed |= offsets
        except (CommitFailedError, IllegalStateError):
            log.warning("partitions were reassigned; their lists may be written once more")
        except KafkaError:
            log.exception("the commit failed; these lists may be written once more")

    async def _say_lag(self) -> None:
        """By the end that the broker's last answer named; it is asked nothing.

        The position, unlike the offset behind the last record, is behind the marker of the last
        transaction too.
        """
        for source in self._consumer.assignment():
            end = self._consumer.highwater(source)
            if end is None:
                continue  # the broker has not answered yet
            with contextlib.suppress(IllegalStateError):  # it is revoked just now
                reached = await self._consumer.position(source)
                metrics.LAG.labels(str(source.partition)).set(max(0, end - reached))

    async def _look_how_far_behind(self) -> None:
        owned = self._consumer.assignment()
        for source in self._known - owned:
            with contextlib.suppress(KeyError):
                metrics.LAG.remove(str(source.partition))
            for of_another in (self._read, self._committed, self._behind):
                of_another.pop(source, None)
        new = owned - self._known
        self._known = set(owned)
        if new:
            # Where the broker does not answer now, nothing is known to lie there.
            with contextlib.suppress(KafkaError):
                self._behind |= await self._consumer.end_offsets(new)
        for source, end in list(self._behind.items()):
            with contextlib.suppress(IllegalStateError):
                if await self._consumer.position(source) >= end:
                    del self._behind[source]
