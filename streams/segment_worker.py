"""The sessions topic into segments: each shopper's newest session makes their segment anew."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

import msgspec
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from prometheus_client import Counter, Histogram

from endcap.decoding import name_in
from endcap.errors import ConnectionFailedError
from endcap.segments import Segment
from endcap.sessions import Session
from endcap.streams.clients import started_consumer
from endcap.timeline import decode_snapshot

log = logging.getLogger(__name__)
_POLL_MS = 200
_MAX_READ = 500
_FIRST_RETRY_S, _LAST_RETRY_S = 0.1, 5.0

SEGMENTS = Counter(
    "endcap_segments_total",
    "Segments: written, older than what was held, deleted; unreadable snapshots passed over",
    ["outcome"],
)
RETRIES = Counter("endcap_segments_retries_total", "Waits for Kafka or the store, by which", ["of"])
SECONDS = Histogram(
    "endcap_event_to_segment_seconds",
    "From the newest event's arrival in Kafka to its segment in the store",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)

MakeSegment = Callable[[Session, int], Segment | None]
"""Of a session, at a time in Unix milliseconds; None: there is none."""


class SegmentWriter(Protocol):
    """Where segments lie."""

    async def write(self, segments: Mapping[str, Segment]) -> int:
        """Write those of higher versions than what is held; returns how many."""
        ...

    async def delete(self, user_ids: Sequence[str]) -> int:
        """Forget; returns how many there were."""
        ...


class SegmentWorker:
    """A member of the group that reads sessions. `run()` returns after `stop()`."""

    def __init__(
        self,
        bootstrap_servers: str,
        sessions_topic: str,
        group_id: str,
        make: MakeSegment,
        writer: SegmentWriter,
    ) -> None:
        self._bootstrap = bootstrap_servers
        self._topic = sessions_topic
        self._group_id = group_id
        self._make = make
        self._writer = writer
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the batch in hand, then return from `run()`."""
        self._stopping.set()

    async def run(self) -> None:
        """Follow until stopped.

        Raises:
            BrokerUnavailableError: no broker answers at the start.
        """
        consumer = await started_consumer(
            self._bootstrap,
            self._topic,
            group_id=self._group_id,
            isolation_level="read_committed",
        )
        retry_s = _FIRST_RETRY_S
        try:
            while not self._stopping.is_set():
                try:
                    found = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_READ)
                    if found:
                        await self._serve(consumer, found)
                    retry_s = _FIRST_RETRY_S
                except KafkaError as error:
                    RETRIES.labels("kafka").inc()
                    log.warning("sessions are read again in %.1f s: %s", retry_s, error)
                    retry_s = await self._pause(retry_s)
        finally:
            await consumer.stop()

    async def _serve(self, consumer: Any, found: Mapping[Any, Sequence[Any]]) -> None:
        """A batch, in this order:

        1. Keep each shopper's newest record.
        2. Delete whose session ended: erased, or moved to another id by a login.
        3. Make segments, off the event loop, and write them.
        4. Commit: what the store has not taken is read again.
        """
        newest: dict[str, bytes | None] = {}
        for record in chain.from_iterable(found.values()):
            user_id = name_in(record.key)
            if user_id is None:
                _passed_over("its key is missing, or no UTF-8")
            else:
                newest[user_id] = record.value
        gone = [user_id for user_id, value in newest.items() if value is None]
        if gone and await self._until_it_answers(lambda: self._writer.delete(gone)) is not None:
            SEGMENTS.labels("deleted").inc(len(gone))
        now_ms = int(time.time() * 1000)
        made, arrived_ms = await asyncio.to_thread(self._made, newest, now_ms)
        if made:
            written = await self._until_it_answers(lambda: self._writer.write(made))
            if written is not None:
                SEGMENTS.labels("written").inc(written)
                SEGMENTS.labels("older").inc(len(made) - written)
                done_ms = time.time() * 1000
                for each in arrived_ms:
                    SECONDS.observe(max(0.0, done_ms - each) / 1000)
        if self._stopping.is_set():
            return  # the store may not have answered; what is read again changes nothing
        try:
            await consumer.commit(
                {tp: records[-1].offset + 1 for tp, records in found.items() if records}
            )
        except (CommitFailedError, IllegalStateError) as error:
            log.info("partitions moved on before their commit; they are read again: %s", error)

    def _made(
        self, newest: Mapping[str, bytes | None], now_ms: int
    ) -> tuple[dict[str, Segment], list[int]]:
        made: dict[str, Segment] = {}
        arrived_ms: list[int] = []
        for user_id, raw in newest.items():
            if raw is None:
                continue
            try:
                snapshot = decode_snapshot(raw)
            except msgspec.DecodeError as error:
                _passed_over(str(error))
                continue
            segment = self._make(snapshot.session, now_ms)
            if segment is not None:
                made[user_id] = segment
                arrived_ms.append(snapshot.arrived_ms)
        return made, arrived_ms

    async def _until_it_answers(self, ask: Callable[[], Awaitable[int]]) -> int | None:
        """None: it was told to stop while the store was away."""
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                return await ask()
            except ConnectionFailedError as error:
                RETRIES.labels("store").inc()
                log.warning("%s Trying again in %.1f s.", error, retry_s)
                if self._stopping.is_set():
                    return None
                retry_s = await self._pause(retry_s)

    async def _pause(self, retry_s: float) -> float:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), retry_s)
        return min(2 * retry_s, _LAST_RETRY_S)


def _passed_over(why: str) -> None:
    SEGMENTS.labels("unreadable").inc()
    log.warning("passed over a record of the sessions topic that cannot be read: %s", why)
