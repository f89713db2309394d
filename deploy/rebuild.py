"""All raw events folded anew into topics of another generation, while the running workers go on."""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from endcap.deploy.processes import session_worker, settle_garbage_collection
from endcap.deploy.progress import Bars
from endcap.deploy.settings import Settings
from endcap.streams.clients import create_topics, partition_counts, started_admin, started_consumer
from endcap.topics import Topic, topics_with_prefix

_LOOK_S = 1.0


async def rebuild_sessions(settings: Settings, bars: Bars) -> dict[str, Any]:
    """Work as a session worker of this generation until it has caught up.

    1. Create the generation's topics.
    2. Fold from the earliest event on. What was interrupted goes on where it stopped.
    3. End when all that was there a second ago is committed; `endcap stream` goes on from there.

    Raises:
        BrokerUnavailableError: no broker answers at the start.
    """
    topics = settings.topics
    await create_topics(settings.broker, topics, settings.partitions, settings.replication)
    settle_garbage_collection()
    worker = session_worker(settings.model_copy(update={"start_from": "earliest"}))
    watch = await started_consumer(settings.broker, group_id=settings.stream_group)
    counts = await partition_counts(settings.broker, (topics.events,))
    started = time.monotonic()
    running = asyncio.create_task(worker.run())
    try:
        sources = list(_sources((topics.events, topics.handovers), counts[topics.events]))
        events = await _caught_up(watch, sources, running, bars)
    finally:
        worker.stop()
        await watch.stop()
    await running
    return {
        "generation": settings.generation,
        "events": events,
        "seconds": round(time.monotonic() - started, 1),
    }


async def _caught_up(
    watch: AIOKafkaConsumer,
    sources: list[TopicPartition],
    running: "asyncio.Task[None]",
    bars: Bars,
) -> int:
    """Returns how many events there were."""
    events = [source for source in sources if source.topic == sources[0].topic]
    while True:
        ends = await watch.end_offsets(sources)
        await asyncio.wait({running}, timeout=_LOOK_S)
        if running.done():
            running.result()
        done = {source: await watch.committed(source) or 0 for source in sources}
        total: int = sum(ends[source] for source in events)
        bars.advance("Events", min(total, sum(done[source] for source in events)), total)
        # Behind a parcel there may be nothing but Kafka's own marks, which nobody commits.
        if all(done[s] >= ends[s] for s in events) and await _is_empty(watch, done, ends):
            return total


async def _is_empty(
    watch: AIOKafkaConsumer, done: dict[TopicPartition, int], ends: dict[TopicPartition, int]
) -> bool:
    """Whether nothing but marks lies between what is committed and the ends."""
    behind = [source for source in ends if done[source] < ends[source]]
    if not behind:
        return True
    watch.assign(behind)
    for source in behind:
        watch.seek(source, done[source])
    return not await watch.getmany(timeout_ms=200)


async def delete_topics_of(settings: Settings, generation: int) -> list[str]:
    """Delete what only this generation has; returns the names of what was there.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    kept = {topic.name for topic in settings.topics}
    old = [t for t in topics_with_prefix(settings.topic_prefix, generation) if t.name not in kept]
    counts = await partition_counts(settings.broker, old)
    there = [topic.name for topic, count in counts.items() if count]
    admin = await started_admin(settings.broker)
    try:
        if there:
            await admin.delete_topics(there)
    finally:
        await admin.close()
    return there


def _sources(topics: Iterable[Topic], partitions: int) -> Iterable[TopicPartition]:
    return (TopicPartition(t.name, number) for t in topics for number in range(partitions))
