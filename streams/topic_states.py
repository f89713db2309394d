"""How the topics are kept, and how far behind a group is: what the brokers say, nothing written."""

import asyncio
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)

from endcap.streams.clients import started_admin, started_consumer, unavailable
from endcap.topics import Topic

_TIMEOUT_S = 20.0
_AHEAD_MS = 5_000


class TopicState(NamedTuple):
    """`replicas`: of the partition that has fewest. `behind`: partitions with a replica that is not
    in sync. `configs`: every setting of the topic, the brokers' defaults included."""

    partitions: int
    replicas: int
    behind: int
    configs: dict[str, str]


async def topic_states(bootstrap_servers: str, topics: Iterable[Topic]) -> dict[Topic, TopicState]:
    """Of each topic that there is.

    Raises:
        BrokerUnavailableError: no broker answered.
    """
    admin = await started_admin(bootstrap_servers)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            known = set(await admin.list_topics())
            there = {topic.name: topic for topic in topics if topic.name in known}
            if not there:
                return {}
            described = await admin.describe_topics(list(there))
            asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in there]
            answers = await admin.describe_configs(asked)
    except (KafkaError, TimeoutError) as error:
        raise unavailable(bootstrap_servers, error) from error
    finally:
        await admin.close()
    configs = {
        resource[3]: {entry[0]: str(entry[1]) for entry in resource[4]}
        for answer in answers
        for resource in answer.resources
    }
    return {
        there[each["topic"]]: _state(each["partitions"], configs.get(each["topic"], {}))
        for each in described
    }


def _state(partitions: list[dict[str, Any]], configs: dict[str, str]) -> TopicState:
    return TopicState(
        len(partitions),
        min(len(each["replicas"]) for each in partitions),
        sum(len(each["isr"]) < len(each["replicas"]) for each in partitions),
        configs,
    )


class Lag(NamedTuple):
    """Of a group in a topic. `committed`: partitions in which the group has committed."""

    records: int
    committed: int
    partitions: int
    written: int


async def group_lag(bootstrap_servers: str, group: str, topic: str) -> Lag:
    """How many records of the topic the group has not committed; all, where it has never.

    Raises:
        BrokerUnavailableError: no broker answered.
    """
    admin = await started_admin(bootstrap_servers)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            held = await _committed(admin, group)
    except (KafkaError, TimeoutError) as error:
        raise unavailable(bootstrap_servers, error) from error
    finally:
        await admin.close()
    first, ends = await _bounds(bootstrap_servers, topic)
    done = {tp: held[tp].offset if tp in held else -1 for tp in ends}
    return Lag(
        sum(max(0, end - max(done[tp], first[tp])) for tp, end in ends.items()),
        sum(offset >= 0 for offset in done.values()),
        len(ends),
        sum(end - first[tp] for tp, end in ends.items()),
    )


async def _committed(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, Any]:
    """A cluster that has never had a group makes the topic of offsets first, and says so."""
    pause_s = 0.1
    while True:
        try:
            found: dict[TopicPartition, Any] = await admin.list_consumer_group_offsets(group)
        except (
            GroupCoordinatorNotAvailableError,
            GroupLoadInProgressError,
            NotCoordinatorForGroupError,
        ):
            await asyncio.sleep(pause_s)
            pause_s = min(2.0, 2 * pause_s)
        else:
            return found


async def _bounds(
    bootstrap_servers: str, topic: str
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    reader = await started_consumer(bootstrap_servers, topic)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            places = reader.assignment()
            return await reader.beginning_offsets(places), await reader.end_offsets(places)
    except (KafkaError, TimeoutError) as error:
        raise unavailable(bootstrap_servers, error) from error
    finally:
        await reader.stop()


async def is_ahead(bootstrap_servers: str, topic: str) -> bool:
    """Whether a record of a topic that is stamped by the broker is of the future by our clock.

    Raises:
        BrokerUnavailableError: no broker answered.
    """
    reader = await started_consumer(bootstrap_servers, topic)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            soon = int(time.time() * 1000) + _AHEAD_MS
            found = await reader.offsets_for_times(dict.fromkeys(reader.assignment(), soon))
            return any(at is not None for at in found.values())
    except (KafkaError, TimeoutError) as error:
        raise unavailable(bootstrap_servers, error) from error
    finally:
        await reader.stop()
