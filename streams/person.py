"""What Kafka holds of one person: for those who ask, and for what erases it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from endcap.erasure import Receipt, Request, encode_erasure, understood
from endcap.sessions import Session
from endcap.streams.clients import (
    partition_counts,
    read_whole,
    started_admin,
    started_consumer,
    started_producer,
    stop_producer,
)
from endcap.streams.dead_letters import Letter, letters_of
from endcap.streams.folded_batch import Partition
from endcap.streams.sweeper import KEEPERS, named_in
from endcap.timeline import Snapshot, decode_snapshot
from endcap.topics import Topics


class Person(NamedTuple):
    """The session of an id, and of the devices that it was taken from; what else names them."""

    user_id: str
    snapshot: Snapshot | None
    devices: tuple[str, ...]
    events: tuple[bytes, ...]
    letters: tuple[Letter, ...]

    @property
    def ids(self) -> set[str]:
        """The person's own, and their devices'."""
        return {self.user_id, *self.devices}


async def find_person(bootstrap_servers: str, topics: Topics, user_id: str) -> Person:
    """Read the partitions where this person's data lie, and all dead letters.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    among = await _among(bootstrap_servers, topics)
    snapshot = await _snapshot(bootstrap_servers, topics, among.of(user_id), user_id)
    links = snapshot.timeline.links if snapshot else None
    devices = links.devices if links else ()
    ids = {user_id, *devices}
    events = [
        record.value
        for partition in sorted({among.of(each) for each in ids})
        async for record in read_whole(bootstrap_servers, topics.events.name, partition)
        if record.value is not None and named_in(record, ids)
    ]
    letters = await letters_of(
        bootstrap_servers, topics, lambda record: bool(named_in(record, ids))
    )
    return Person(user_id, snapshot, devices, tuple(events), tuple(letters))


async def find_session(bootstrap_servers: str, topics: Topics, user_id: str) -> Session | None:
    """The newest session of an id, and nothing else of the person.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    among = await _among(bootstrap_servers, topics)
    snapshot = await _snapshot(bootstrap_servers, topics, among.of(user_id), user_id)
    return snapshot.session if snapshot else None


async def request_erasure(
    bootstrap_servers: str, topics: Topics, user_id: str, request_id: str
) -> None:
    """Ask for it; returns when the broker has the request.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    key, value = encode_erasure(Request(request_id, user_id))
    producer = await started_producer(bootstrap_servers)
    try:
        await producer.send_and_wait(topics.erasures.name, value, key)
    finally:
        await stop_producer(producer)


async def receipts_of(bootstrap_servers: str, topics: Topics, request_id: str) -> list[Receipt]:
    """The receipts of a request, and of those for the person's devices.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    newest: dict[bytes, Receipt] = {}
    async for record in read_whole(bootstrap_servers, topics.erasures.name):
        asked = understood(record.value)
        if isinstance(asked, Receipt) and (
            asked.request_id == request_id or asked.request_id.startswith(f"{request_id}-")
        ):
            newest[record.key] = asked
    return list(newest.values())


def still_missing(receipts: list[Receipt], request_id: str) -> set[str]:
    """Which keepers have not answered for the person or one of their devices."""
    said = {(receipt.request_id, receipt.keeper) for receipt in receipts}
    if (request_id, "sessions") not in said:
        return {"sessions", *KEEPERS}
    devices = sum(
        receipt.removed.get("devices", 0)
        for receipt in receipts
        if (receipt.request_id, receipt.keeper) == (request_id, "sessions")
    )
    everybody = [request_id, *(f"{request_id}-{at}" for at in range(devices))]
    return {
        keeper
        for each in everybody
        for keeper in ("sessions", *KEEPERS)
        if (each, keeper) not in said
    }


async def end_of_events(
    bootstrap_servers: str, topics: Topics, ids: set[str]
) -> dict[TopicPartition, int]:
    """Where the partitions of these ids end now."""
    among = await _among(bootstrap_servers, topics)
    sources = {TopicPartition(topics.events.name, among.of(each)) for each in ids}
    reader = await started_consumer(bootstrap_servers)
    try:
        return dict(await reader.end_offsets(sources))
    finally:
        await reader.stop()


async def purge_events(
    bootstrap_servers: str, group_id: str, ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int] | None:
    """Delete the raw events before `ends`, everybody's in these partitions: Kafka knows no other
    way. Returns how many of each; None where the group has not folded them all yet.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    reader = await started_consumer(bootstrap_servers, group_id=group_id)
    try:
        committed = {source: await reader.committed(source) or 0 for source in ends}
        begins = await reader.beginning_offsets(list(ends))
    finally:
        await reader.stop()
    if any(committed[source] < end for source, end in ends.items()):
        return None
    admin: AIOKafkaAdminClient = await started_admin(bootstrap_servers)
    try:
        before = {source: RecordsToDelete(before_offset=end) for source, end in ends.items()}
        left: Mapping[TopicPartition, Any] = await admin.delete_records(before)
    finally:
        await admin.close()
    return {source: max(0, int(left[source]) - begins[source]) for source in ends}


async def _snapshot(
    bootstrap_servers: str, topics: Topics, partition: int, user_id: str
) -> Snapshot | None:
    raw: bytes | None = None
    key = user_id.encode()
    async for record in read_whole(bootstrap_servers, topics.sessions.name, partition):
        if record.key == key:
            raw = record.value
    return None if raw is None else decode_snapshot(raw)


async def _among(bootstrap_servers: str, topics: Topics) -> Partition:
    counts = await partition_counts(bootstrap_servers, (topics.events,))
    return Partition(0, counts[topics.events])
