"""Kafka clients with the settings that endcap relies on, and Kafka's errors as ours."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    IllegalOperation,
    KafkaConnectionError,
    KafkaError,
    ProducerFenced,
    TopicAlreadyExistsError,
)

from endcap.errors import BrokerUnavailableError
from endcap.streams.batch_compression import Producer
from endcap.streams.group_offsets import refuse_answers_of_others
from endcap.streams.kafka_security import security_of
from endcap.streams.mended_clients import Admin, Consumer, ended_apart
from endcap.streams.refused_client import LACKING_RIGHTS, lacking_right, refusal_of
from endcap.topics import Topic, Topics

# While a broker is away aiokafka logs hundreds of identical lines; our own error says it once.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

CONNECT_TIMEOUT_S = 15.0
LISTED_S = 30.0
STOP_S = 5.0
MAX_BATCH_BYTES = 900_000
"""Uncompressed; a broker takes record batches of about a million bytes."""
_ALL_ALIKE: Mapping[Topic, int] = {}
log = logging.getLogger(__name__)


def unavailable(bootstrap_servers: str, error: BaseException) -> BrokerUnavailableError:
    """The one message for a broker that does not answer."""
    return BrokerUnavailableError(
        f"No Kafka broker answers at {bootstrap_servers} ({type(error).__name__}). Start it, or "
        "name another by ENDCAP_KAFKA_BOOTSTRAP_SERVERS=host:port. `endcap demo` "
        "prints the line to export for its own."
    )


async def started_producer(bootstrap_servers: str) -> AIOKafkaProducer:
    """An idempotent producer that waits for all replicas.

    Raises:
        BrokerUnavailableError: no broker answered within `CONNECT_TIMEOUT_S`;
            `BrokerRefusedError`: one did, and refused this client.
    """
    producer = Producer(
        bootstrap_servers=bootstrap_servers,
        **security_of(bootstrap_servers).of_aiokafka(),
        enable_idempotence=True,
        acks="all",
        linger_ms=0,
        max_batch_size=256 * 1024,
    )
    return await _start(producer, bootstrap_servers)


async def started_transactional_producer(
    bootstrap_servers: str, transactional_id: str
) -> AIOKafkaProducer:
    """A producer whose start fences every older one of the same id.

    Raises:
        BrokerUnavailableError: no broker answered within `CONNECT_TIMEOUT_S`.
    """
    producer = Producer(
        bootstrap_servers=bootstrap_servers,
        **security_of(bootstrap_servers).of_aiokafka(),
        transactional_id=transactional_id,
        linger_ms=0,
        max_batch_size=MAX_BATCH_BYTES,
    )
    return await _start(producer, bootstrap_servers)


@contextlib.contextmanager
def told_when_fenced() -> Iterator[None]:
    """Around what is written in a transaction.

    aiokafka hears in the background that a newer producer has the id. What is sent after that
    meets an `IllegalOperation`, which is no `KafkaError` and reads as a mistake of the caller's.

    Raises:
        ProducerFenced: the transaction that was begun here has ended without its commit.
    """
    try:
        yield
    except IllegalOperation as error:
        raise ProducerFenced from error


@contextlib.asynccontextmanager
async def transaction(producer: AIOKafkaProducer) -> AsyncIterator[None]:
    """Committed at its end, aborted where it raises.

    Raises:
        ProducerFenced: a newer producer has the id; see `told_when_fenced`.
    """
    with told_when_fenced():
        async with producer.transaction():
            yield


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Flush and stop; where the broker is away, stop without.

    aiokafka's own stop() waits for the broker for ever.
    """
    client = producer.client
    try:
        if not await ended_apart(producer.stop(), client, STOP_S):
            await ended_apart(producer._sender.close(), client, STOP_S)
            await ended_apart(client.close(), client, STOP_S)
    except KafkaError:
        log.debug("a fenced producer did not stop", exc_info=True)
        await ended_apart(client.close(), client, STOP_S)
    _look_at_its_end(producer)


def _look_at_its_end(producer: AIOKafkaProducer) -> None:
    """Nobody waits for a transaction that failed before its commit; asyncio complains of that."""
    waiter = producer._txn_manager and producer._txn_manager._transaction_waiter
    if waiter is not None and waiter.done() and not waiter.cancelled():
        waiter.exception()


async def started_consumer(bootstrap_servers: str, *topics: str, **settings: Any) -> Consumer:
    """A consumer that never commits by itself.

    Raises:
        BrokerUnavailableError: no broker answered within `CONNECT_TIMEOUT_S`.
    """
    in_group = settings.get("group_id") is not None
    consumer = Consumer(
        *(() if in_group else topics),
        bootstrap_servers=bootstrap_servers,
        **security_of(bootstrap_servers).of_aiokafka(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **settings,
    )
    await _start(consumer, bootstrap_servers)
    if in_group:
        refuse_answers_of_others(consumer)
        if topics:
            consumer.subscribe(topics)
    return consumer


async def read_whole(
    bootstrap_servers: str, topic: str, partition: int | None = None
) -> AsyncIterator[Any]:
    """Every committed record of a topic, or of one partition of it, up to where it ends now.

    Nothing where there is no topic.

    Raises:
        BrokerUnavailableError: no broker answered within `CONNECT_TIMEOUT_S`.
    """
    whole = () if partition is not None else (topic,)
    reader = await started_consumer(bootstrap_servers, *whole, isolation_level="read_committed")
    try:
        if partition is not None:
            reader.assign([TopicPartition(topic, partition)])
            await reader.seek_to_beginning()
        ends = await reader.end_offsets(reader.assignment())
        while any([await reader.position(tp) < end for tp, end in ends.items()]):
            for records in (await reader.getmany(timeout_ms=200)).values():
                for record in records:
                    yield record
    finally:
        await reader.stop()


async def started_admin(bootstrap_servers: str) -> Admin:
    """A client that administers topics; close it.

    Raises:
        BrokerUnavailableError: no broker answered within `CONNECT_TIMEOUT_S`.
    """
    admin = Admin(
        bootstrap_servers=bootstrap_servers, **security_of(bootstrap_servers).of_aiokafka()
    )
    await _start(admin, bootstrap_servers)
    return admin


async def create_topics(
    bootstrap_servers: str,
    topics: Topics,
    partitions: int,
    replication: int = 1,
    retention_days: int = 0,
    kept_days: Mapping[Topic, int] = _ALL_ALIKE,
) -> list[str]:
    """Create the topics that are missing; returns their names once the broker lists them all.

    Item deltas have one partition: they are aggregated demand, and one trending list needs all.
    So has the catalogue: the trends app reads both as one worker; so have its price changes, and
    the proposals of prices, whose steps have an order. Where
    the events are there already, the others get as many partitions as they have. `retention_days`
    is that of raw events, impressions, conversations and campaigns, by the broker's clock; 0: for
    ever. `kept_days`: of single topics, where it is another; of a compacted one it ends also the
    newest record of a key.

    Raises:
        BrokerUnavailableError: no broker answered, or it knew nothing of the new topics for
            `LISTED_S`.
    """
    admin = await started_admin(bootstrap_servers)
    try:
        counts = await _partition_counts(admin, topics)
        missing = [topic for topic, count in counts.items() if count == 0]
        if missing:
            partitions = counts[topics.events] or partitions
            one_partition = single_partitions(topics)
            wanted = [
                NewTopic(
                    topic.name,
                    1 if topic in one_partition else partitions,
                    replication,
                    topic_configs=topic_configs(topic, topics, retention_days, kept_days),
                )
                for topic in missing
            ]
            with contextlib.suppress(TopicAlreadyExistsError):  # between our look and our call
                await admin.create_topics(wanted, timeout_ms=30_000)
            await _until_listed(admin, topics, bootstrap_servers)
        return [topic.name for topic in missing]
    finally:
        await admin.close()


async def partition_counts(bootstrap_servers: str, topics: Iterable[Topic]) -> dict[Topic, int]:
    """How many partitions each topic has; 0 where there is no such topic.

    Raises:
        BrokerUnavailableError: no broker answered.
    """
    admin = await started_admin(bootstrap_servers)
    try:
        return await _partition_counts(admin, topics)
    finally:
        await admin.close()


async def _partition_counts(
    admin: AIOKafkaAdminClient, topics: Iterable[Topic]
) -> dict[Topic, int]:
    # A topic that is asked for by its name is created where the broker allows that: list first.
    known = set(await admin.list_topics())
    counts = dict.fromkeys(topics, 0)
    there = [topic.name for topic in counts if topic.name in known]
    described = await admin.describe_topics(there) if there else []
    sizes = {each["topic"]: len(each["partitions"]) for each in described}
    return {topic: sizes.get(topic.name, 0) for topic in counts}


async def _until_listed(admin: AIOKafkaAdminClient, topics: Topics, bootstrap_servers: str) -> None:
    """The controller answers when they are decided; a busy broker hears of it later, and a worker
    that starts in between finds no topic."""
    try:
        async with asyncio.timeout(LISTED_S):
            while True:
                if all((await _partition_counts(admin, topics)).values()):
                    return
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise unavailable(bootstrap_servers, error) from error


def single_partitions(topics: Topics) -> set[Topic]:
    """Those that one process reads as a whole: they have one partition, whatever the load."""
    return {topics.item_deltas, topics.catalogue, topics.price_changes, topics.prices}


def topic_configs(
    topic: Topic,
    topics: Topics,
    retention_days: int,
    kept_days: Mapping[Topic, int] = _ALL_ALIKE,
) -> dict[str, str]:
    """What `create_topics` sets for a topic; 0 days: its records are kept for ever. `kept_days`: of
    single topics."""
    kept = {"cleanup.policy": "compact"} if topic.compacted else {"retention.ms": "-1"}
    kept_for_days = {topics.events, topics.impressions, topics.conversations, topics.campaigns}
    days = kept_days.get(topic, retention_days if topic in kept_for_days else 0)
    if days:
        kept["retention.ms"] = str(days * 86_400_000)
        if topic.compacted:
            # An erasure ends a record by its key; what nobody erases ends by its age.
            kept["cleanup.policy"] = "compact,delete"
    if topic in {topics.events, topics.erasures, topics.impressions, topics.conversations}:
        # By the broker's clock, not the producer's: "in the future" is judged by it, and retention
        # must not follow the times of replayed events.
        return kept | {"message.timestamp.type": "LogAppendTime"}
    if topic == topics.dead_letters:
        # The largest record that the events take, and its reason beside it.
        return kept | {"max.message.bytes": str(2 * 1024 * 1024)}
    return kept


async def _start(client: Any, bootstrap_servers: str) -> Any:
    try:
        await asyncio.wait_for(client.start(), CONNECT_TIMEOUT_S)
    except (KafkaConnectionError, TimeoutError) as error:
        await _close(client)
        said = await refusal_of(bootstrap_servers)
        raise said or unavailable(bootstrap_servers, error) from error
    except LACKING_RIGHTS as error:
        await _close(client)
        raise lacking_right(error, bootstrap_servers) or error from error
    return client


async def _close(client: Any) -> None:
    try:
        if isinstance(client, AIOKafkaProducer):
            await stop_producer(client)
        else:
            await (client.close() if hasattr(client, "close") else client.stop())
    except KafkaError:
        log.debug("a client that never started did not stop", exc_info=True)
