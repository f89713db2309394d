"""What an event's way to its list costs at least: a hop, an inference, a write, one by one."""

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise
from uuid import uuid4

from endcap.bundle import Bundle
from endcap.candidates import Crowd, Gathered
from endcap.lists import encode_list
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.redis_store import RedisStore
from endcap.serving.rescorer import popular_list
from endcap.sessions import Session
from endcap.streams.clients import create_topics, started_consumer, started_producer, stop_producer
from endcap.topics import topics_with_prefix

TIMES = 400
_WARM = 100
_PAUSE_S = 0.005


async def latency_floor(
    bootstrap_servers: str,
    redis_url: str,
    bundle: Bundle,
    scorer: OnnxScorer,
    sessions: Sequence[Session],
) -> list[dict[str, float]]:
    """Milliseconds of each part, and of `all`, on a stack that does nothing else.

    `hop`: from `send` to the record in a consumer's hand. `inference`: the graph alone, for one
    shopper whose candidates lie ready. `set`: one SET of a list of twenty.
    """
    topics = topics_with_prefix(f"floor-{uuid4().hex[:8]}")
    await create_topics(bootstrap_servers, topics, 1)
    topic = topics.events.name
    producer = await started_producer(bootstrap_servers)
    consumer = await started_consumer(bootstrap_servers, topic)
    store = RedisStore(redis_url)
    ready = [_gathered(bundle, session) for session in sessions[:_WARM]]
    value = popular_list(bundle)
    found: list[dict[str, float]] = []
    try:
        for number in range(_WARM + TIMES):
            await asyncio.sleep(_PAUSE_S)
            marks = [time.perf_counter()]
            await producer.send(topic, encode_list(value)[:400], partition=0)
            await consumer.getone()
            marks.append(time.perf_counter())
            scorer.score(*ready[number % len(ready)])
            marks.append(time.perf_counter())
            await store.write_trending(value)
            marks.append(time.perf_counter())
            hop, inference, write = ((after - before) * 1000 for before, after in pairwise(marks))
            found.append(
                {"hop": hop, "inference": inference, "set": write, "all": hop + inference + write}
            )
    finally:
        await consumer.stop()
        await stop_producer(producer)
        await store.close()
    return found[_WARM:]


def _gathered(bundle: Bundle, session: Session) -> tuple[Crowd, Gathered]:
    crowd = bundle.crowd([session])
    return crowd, bundle.gatherer.gather(crowd)
