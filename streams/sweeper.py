"""What is left of an erased person beside their session: dead letters, planned contacts, and lists
in a store.

The session worker ends the session and asks for the sweep in one transaction (`endcap.erasure`).
All that is done here may be done twice.
"""

import asyncio
import contextlib
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from endcap.erasure import Receipt, Sweep, encode_erasure, erasure_key, understood
from endcap.errors import ConnectionFailedError
from endcap.streams import metrics
from endcap.streams.clients import (
    read_whole,
    started_consumer,
    started_transactional_producer,
    stop_producer,
    transaction,
)
from endcap.streams.dead_letters import is_tombstone, source_key
from endcap.topics import Topics

log = logging.getLogger(__name__)

KEEPERS = ("dead_letters", "contacts", "lists")
"""Who sweeps, by the name on the receipt."""
_POLL_MS = 500
_FIRST_RETRY_S, _LAST_RETRY_S = 0.5, 30.0
DeleteLists = Callable[[Sequence[str]], Awaitable[int]]
Found = Mapping[TopicPartition, Sequence[Any]]


class Sweeper:
    """A member of the group that sweeps. `run()` returns after `stop()`."""

    def __init__(
        self, bootstrap_servers: str, topics: Topics, group_id: str, delete_lists: DeleteLists
    ) -> None:
        """`delete_lists` deletes lists of users; returns how many there were."""
        self._bootstrap = bootstrap_servers
        self._topics = topics
        self._group_id = group_id
        self._delete_lists = delete_lists
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the sweep in hand, then return from `run()`."""
        self._stopping.set()

    async def run(self) -> None:
        """Sweep until stopped; while Kafka or the store is away, sweeps wait in their topic."""
        retry_s = _FIRST_RETRY_S
        while not self._stopping.is_set():
            try:
                await self._work()
            except (KafkaError, ConnectionFailedError) as error:
                metrics.SWEEP_RETRIES.inc()
                log.warning("erasures are swept again in %.1f s: %s", retry_s, error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)

    async def _work(self) -> None:
        consumer = await started_consumer(
            self._bootstrap,
            self._topics.erasures.name,
            group_id=self._group_id,
            isolation_level="read_committed",
        )
        try:
            # Nobody is to be fenced: a sweep that is done twice does no harm.
            producer = await started_transactional_producer(
                self._bootstrap, f"{self._group_id}-{uuid4().hex}"
            )
            try:
                while not self._stopping.is_set():
                    await self._one_read(consumer, producer)
            finally:
                await stop_producer(producer)
        finally:
            await consumer.stop()

    async def _one_read(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        """Sweep for all that ask for it, together.

        1. Delete their lists.
        2. Read the dead letters and the contacts of campaigns, once for all of them, and find
           theirs.
        3. In one transaction: tombstones for these records, receipts, the ends of the sweeps, and
           the offsets.
        """
        found: Found = await consumer.getmany(timeout_ms=_POLL_MS)
        if not found:
            return
        sweeps = list(_sweeps(found))
        if sweeps:
            asked_ms = min(records[0].timestamp for records in found.values())
            metrics.SWEEP_OPEN_SINCE.set(asked_ms / 1000)
        users = {sweep.user_id for _, sweep in sweeps}
        deleted = {user_id: await self._delete_lists([user_id]) for user_id in users}
        theirs = {
            keeper: await self._records_of(topic.name, users) if users else {}
            for keeper, topic in (
                ("dead_letters", self._topics.dead_letters),
                ("contacts", self._topics.campaigns),
            )
        }
        async with transaction(producer):
            sent = [
                await producer.send(source.topic, None, key, partition=source.partition)
                for records in theirs.values()
                for source, key in records
            ]
            removed: dict[str, Mapping[str, int]] = {
                keeper: Counter(user_id for named in records.values() for user_id in named)
                for keeper, records in theirs.items()
            }
            removed["lists"] = deleted
            for partition, sweep in sweeps:
                for keeper, of_user in removed.items():
                    receipt = Receipt(
                        sweep.request_id,
                        keeper,
                        {keeper: of_user.get(sweep.user_id, 0)},
                        int(time.time() * 1000),
                    )
                    sent.append(await self._send(producer, partition, *encode_erasure(receipt)))
                sent.append(await self._send(producer, partition, erasure_key(sweep), None))
            for acknowledged in sent:
                await acknowledged
            await producer.send_offsets_to_transaction(
                {source: records[-1].offset + 1 for source, records in found.items()},
                self._group_id,
            )
        metrics.SWEPT.inc(len(sweeps))
        metrics.SWEEP_OPEN_SINCE.set(0)

    async def _send(
        self, producer: AIOKafkaProducer, partition: int, key: bytes, value: bytes | None
    ) -> Awaitable[Any]:
        acknowledged: Awaitable[Any] = await producer.send(
            self._topics.erasures.name, value, key, partition=partition
        )
        return acknowledged

    async def _records_of(
        self, topic: str, users: set[str]
    ) -> dict[tuple[TopicPartition, bytes], set[str]]:
        """Live records of a compacted topic that name one of `users`, and whom they name."""
        theirs: dict[tuple[TopicPartition, bytes], set[str]] = {}
        async for record in read_whole(self._bootstrap, topic):
            if record.key is None:
                continue  # a compacted topic takes none
            place = TopicPartition(topic, record.partition), record.key
            if is_tombstone(record):
                theirs.pop(place, None)
            elif named := named_in(record, users):
                theirs[place] = named
        return theirs


def named_in(record: Any, users: set[str]) -> set[str]:
    """Which of `users` a record names: by its key, or anywhere in its value.

    In JSON a whole value must be the id; in anything else the id must stand as a word.
    """
    key = source_key(record)
    named = {user for user in users if key is not None and key == user.encode()}
    value = record.value or b""
    try:
        named |= users & set(_strings(json.loads(value)))
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested too deep to be read
        named |= {u for u in users if re.search(rb"(?<!\w)%s(?!\w)" % re.escape(u.encode()), value)}
    return named


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for part in value.values() for text in _strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in _strings(part)]
    return [str(value)]


def _sweeps(found: Found) -> "list[tuple[int, Sweep]]":
    """With their partitions; the other records of the topic are the session worker's."""
    sweeps = []
    for source, records in found.items():
        ended = {record.key for record in records if record.value is None}
        for record in records:
            asked = None if record.key in ended else understood(record.value)
            if isinstance(asked, Sweep):
                sweeps.append((source.partition, asked))
    return sweeps
