"""Lists into Redis in batches, beside plain SETs of the same bytes."""

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio as redis

from endcap.lists import REC_TTL_S, ListItem, RecommendationList, encode_list, rec_key
from endcap.serving.redis_store import RedisStore

BATCHES = (1, 8, 64)
_TURNS = 5
_TURN_S = 0.3


async def bench_writes(url: str) -> dict[str, Any]:
    """By the size of a batch: `rounds_per_s`, `lists_per_s` and `ratio_to_set`, the median over the
    turns of our rate to that of a pipeline of SETs."""
    store, client = RedisStore(url), redis.Redis.from_url(url)
    try:
        return {str(size): await _of(size, store, client) for size in BATCHES}
    finally:
        await client.aclose()
        await store.close()


async def write_some(store: RedisStore, count: int) -> list[str]:
    """So many lists of the same kind; the users that have them."""
    lists = {f"bench-{number}": _list(number) for number in range(count)}
    await store.write_lists(lists)
    return list(lists)


async def _of(size: int, store: RedisStore, client: Any) -> dict[str, float]:
    lists = {f"bench-{number}": _list(number) for number in range(size)}

    async def forward_only() -> None:
        await store.write_lists(lists)

    async def plain_set() -> None:
        async with client.pipeline(transaction=False) as pipeline:
            for user_id, ready in lists.items():
                pipeline.set(rec_key(user_id), encode_list(ready), ex=REC_TTL_S)
            await pipeline.execute()

    ours: list[float] = []
    ratios: list[float] = []
    for _ in range(_TURNS):
        per_s = await _rounds_per_s(forward_only)
        ours.append(per_s)
        ratios.append(per_s / await _rounds_per_s(plain_set))
    per_s = statistics.median(ours)
    return {
        "rounds_per_s": round(per_s),
        "lists_per_s": round(per_s * size),
        "ratio_to_set": round(statistics.median(ratios), 2),
    }


async def _rounds_per_s(write: Callable[[], Awaitable[None]]) -> float:
    await write()
    started, rounds = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < _TURN_S:
        await write()
        rounds += 1
    return rounds / elapsed


def _list(number: int) -> RecommendationList:
    """About 2 KB of JSON."""
    reason = "often bought with Organic Whole Milk, Half Gallon, 2 for 5"
    items = tuple(ListItem(str(1_000_000 + number + n), 4.2345 - n / 10, reason) for n in range(20))
    return RecommendationList(number, "completejourney", 1_764_000_000_123, items)
