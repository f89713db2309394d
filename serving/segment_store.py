"""Segments in Redis: `endcap:segment:{<user>}`. See docs/redis.md."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence

from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from endcap.segments import (
    SEGMENT_TTL_S,
    Segment,
    decode_segment,
    encode_segment,
    segment_key,
    state_at,
)
from endcap.serving.cluster_reads import answering, open_redis
from endcap.serving.forward_only import ForwardOnly, Row

_TIMEOUT_S = 5.0
_PAGE = 500
_BEFORE = len(segment_key(""))


class SegmentStore:
    """Async reader and writer of segments. Its methods raise `StoreUnavailableError` where Redis
    does not answer, retries included."""

    def __init__(self, url: str) -> None:
        """`url`: of one server, or with `?cluster=true` of a node of a Redis Cluster."""
        self._url = url
        self._redis = open_redis(url, _TIMEOUT_S, Retry(ExponentialBackoff(cap=1.0, base=0.05), 3))
        self._forward_only = ForwardOnly(self._redis, SEGMENT_TTL_S)

    async def write(self, segments: Mapping[str, Segment]) -> int:
        """All in one round trip; returns how many were newer than what was held."""
        rows = [
            Row(segment_key(user_id), each.version, encode_segment(each))
            for user_id, each in segments.items()
        ]
        if not rows:
            return 0
        with answering(self._url):
            return await self._forward_only.write(rows)

    async def delete(self, user_ids: Sequence[str]) -> int:
        """Forget; returns how many there were."""
        with answering(self._url):
            # One DEL a key: on a cluster they lie in different slots.
            async with self._redis.pipeline(transaction=False) as pipeline:
                for user_id in user_ids:
                    pipeline.delete(segment_key(user_id))
                return sum(await pipeline.execute())

    async def segment(self, user_id: str) -> Segment | None:
        """One shopper's."""
        with answering(self._url):
            raw = await self._redis.get(segment_key(user_id))
        return decode_segment(raw) if raw else None

    async def every(self) -> AsyncIterator[tuple[str, Segment]]:
        """All of them, by walking the keys: for campaigns and reports, not for pages."""
        page: list[str] = []
        with answering(self._url):
            async for key in self._redis.scan_iter(match=segment_key("*"), count=_PAGE):
                page.append(key.decode()[_BEFORE - 1 : -1])
                if len(page) == _PAGE:
                    for pair in await self._read(page):
                        yield pair
                    page = []
            for pair in await self._read(page):
                yield pair

    async def counts(self, now_ms: int) -> dict[str, dict[str, int]]:
        """How many shoppers are in each state and in each tier."""
        states: Counter[str] = Counter()
        tiers: Counter[str] = Counter()
        async for _, segment in self.every():
            states[state_at(segment, now_ms)] += 1
            tiers[segment.tier] += 1
        return {"states": dict(sorted(states.items())), "tiers": dict(sorted(tiers.items()))}

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()

    async def _read(self, user_ids: Sequence[str]) -> list[tuple[str, Segment]]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for user_id in user_ids:
                pipeline.get(segment_key(user_id))
            raw = await pipeline.execute()
        return [
            (user_id, decode_segment(value))
            for user_id, value in zip(user_ids, raw, strict=True)
            if value
        ]
