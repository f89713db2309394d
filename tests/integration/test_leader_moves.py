"""Leaders move between three brokers; whoever works with them goes on without being restarted."""

import asyncio
from collections.abc import Iterator
from functools import partial

import pytest
from aiokafka import TopicPartition
from rich.console import Console

from endcap.deploy.bench.leader_moves import leader_moves
from endcap.deploy.local_stack.kafka_cluster import NODES, KafkaCluster
from endcap.deploy.progress import Bars
from endcap.errors import BrokerUnavailableError
from endcap.events import Event, EventType, parse_event
from endcap.streams.clients import (
    create_topics,
    started_consumer,
    started_producer,
    stop_producer,
)
from endcap.streams.event_producer import EventProducer
from endcap.streams.topic_view import TopicView
from endcap.topics import topics_with_prefix

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
START_MS = 1_700_000_000_000


@pytest.fixture(scope="module")
def _cluster() -> Iterator[KafkaCluster]:
    with KafkaCluster(None, print) as running:
        yield running


@pytest.fixture
def cluster(_cluster: KafkaCluster) -> KafkaCluster:
    for number in _cluster.down:
        _cluster.revive(number)
    return _cluster


def test_workers_fold_each_event_once_while_leaders_move_away_and_back(
    cluster: KafkaCluster,
) -> None:
    with Bars(Console(stderr=True)) as bars:
        found = leader_moves(cluster, 2, bars, seed=3)
    assert found["workers_started"] == 2  # none of them ended, none was replaced
    assert found["moved"] > 2 * 8
    assert found["events"] > found["unique_events"] > 1_000
    assert (found["lost"], found["doubled"], found["out_of_order"]) == (0, 0, 0)
    assert (found["deltas_lost"], found["deltas_doubled"]) == (0, 0)


async def test_a_broker_that_is_not_the_coordinator_is_not_believed(
    cluster: KafkaCluster,
) -> None:
    """It answers with an error; that is not "nothing is committed", and no new beginning."""
    topics = topics_with_prefix("believing")
    await create_topics(cluster.bootstrap_servers, topics, 1, replication=len(NODES))
    source = TopicPartition(topics.events.name, 0)
    consumer = await started_consumer(cluster.bootstrap_servers, group_id="believing")
    try:
        consumer.assign([source])
        await consumer.commit({source: 5})
        coordinator = consumer._coordinator
        coordinator.coordinator_id = next(n for n in NODES if n != coordinator.coordinator_id)
        assert await consumer.committed(source) == 5
    finally:
        await consumer.stop()


async def test_the_producer_and_the_view_of_a_server_follow_the_leader(
    cluster: KafkaCluster,
) -> None:
    topics = topics_with_prefix("following")
    await create_topics(cluster.bootstrap_servers, topics, 1, replication=len(NODES))
    topic = topics.events.name
    producer = await started_producer(cluster.bootstrap_servers)
    view = TopicView(cluster.bootstrap_servers, topic, partial(parse_event, now_ms=START_MS))
    try:
        await view.start()
        await _send(EventProducer(producer, topic), "before")
        await _seen(view, "before")
        leader = producer.client.cluster.leader_for_partition(TopicPartition(topic, 0))
        await asyncio.to_thread(cluster.kill, leader)
        await _send(EventProducer(producer, topic), "after")
        await _seen(view, "after")
        assert producer.client.cluster.leader_for_partition(TopicPartition(topic, 0)) != leader
    finally:
        await view.stop()
        await stop_producer(producer)


async def _send(producer: EventProducer, event_id: str) -> None:
    """As the server's caller is told to: once more, until it is acknowledged."""
    event = Event(
        event_id=event_id, user_id="u", event_name=EventType.SEARCH, timestamp_ms=START_MS
    )
    async with asyncio.timeout(60):
        while True:
            try:
                return await producer.send(event)
            except BrokerUnavailableError:
                continue


async def _seen(view: TopicView[Event], event_id: str) -> None:
    async with asyncio.timeout(60):
        while True:
            newest = view.get("u")
            if newest is not None and newest.event_id == event_id:
                return
            await asyncio.sleep(0.05)
