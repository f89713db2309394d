"""What who takes a partition over must know: its sessions, and who was erased."""

import logging

from aiokafka import AIOKafkaConsumer, TopicPartition

from endcap.erasure import Erased, Registry, understood
from endcap.streams import metrics
from endcap.streams.clients import started_consumer
from endcap.streams.session_store import SessionStore, rows_of
from endcap.topics import Topics

log = logging.getLogger(__name__)

_ROWS, _WAIT_MS = 5_000, 20


async def read_back(
    bootstrap_servers: str, topics: Topics, partition: int, store: SessionStore, registry: Registry
) -> None:
    """The sessions topic from where the store ends, and the register, to where they end now.

    Raises:
        BrokerUnavailableError: no broker answers.
        KafkaError: a topic could not be read to its end.
    """
    reader = await started_consumer(
        bootstrap_servers,
        isolation_level="read_committed",
        # At a topic's end a request is in flight for so long, and the next topic waits for it.
        fetch_max_wait_ms=_WAIT_MS,
    )
    try:
        await _read_sessions(reader, TopicPartition(topics.sessions.name, partition), store)
        await _read_registry(reader, TopicPartition(topics.erasures.name, partition), registry)
    finally:
        await reader.stop()


async def _read_sessions(
    reader: AIOKafkaConsumer, source: TopicPartition, store: SessionStore
) -> None:
    reader.assign([source])
    end = (await reader.end_offsets([source]))[source]
    if store.position > end:
        log.warning("the sessions topic was made anew: the local store is read again")
        store.clear()
    start = max(store.position, (await reader.beginning_offsets([source]))[source])
    reader.seek(source, start)
    left = metrics.RESTORE_LEFT.labels(str(source.partition))
    while (position := await reader.position(source)) < end:
        left.set(end - position)
        found = await reader.getmany(source, timeout_ms=500, max_records=_ROWS)
        rows = rows_of(found.get(source, []))
        if rows:
            metrics.RESTORED.inc(len(rows))
        store.put(rows, await reader.position(source))
    left.set(0)
    store.put({}, max(position, start))


async def _read_registry(
    reader: AIOKafkaConsumer, source: TopicPartition, registry: Registry
) -> None:
    """All of it, since the topic is compacted and short."""
    reader.assign([source])
    end = (await reader.end_offsets([source]))[source]
    reader.seek(source, (await reader.beginning_offsets([source]))[source])
    while await reader.position(source) < end:
        found = await reader.getmany(source, timeout_ms=500, max_records=_ROWS)
        for record in found.get(source, []):
            entry = understood(record.value)
            if isinstance(entry, Erased):
                registry.add(entry)
