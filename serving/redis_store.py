"""The Redis contract: lists that only move forward, trending, items. See docs/redis.md."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from endcap.catalogue import CatalogueItem
from endcap.lists import (
    REC_TTL_S,
    SHELF_TTL_S,
    TRENDING_KEY,
    RecommendationList,
    Shelf,
    decode_list,
    encode_list,
    item_key,
    rec_key,
    shelf_key,
)
from endcap.segments import segment_key
from endcap.serving.cluster_reads import AWAY, ClusterReads, answering, is_cluster, open_redis
from endcap.serving.forward_only import ForwardOnly, Row
from endcap.serving.redis_connection import Heard
from endcap.serving.shared_reads import SharedReads, unavailable

_TIMEOUT_S = 5.0
_PAGE_WAITS_S = 2.0
"""For what a page or a probe asks: not for several tries at a server that stands still."""


class RedisStore:
    """Async reader and writer of the keys under `endcap:`."""

    def __init__(self, url: str) -> None:
        """`url`: of one server, or with `?cluster=true` of a node of a Redis Cluster."""
        self._url = url
        self._reads: SharedReads | ClusterReads
        retry = Retry(ExponentialBackoff(cap=1.0, base=0.05), 3)
        self._redis = open_redis(url, _TIMEOUT_S, retry)
        self._reads = ClusterReads(url) if is_cluster(url) else SharedReads(url)
        self._forward_only = ForwardOnly(self._redis, REC_TTL_S)

    async def write_lists(self, lists: Mapping[str, RecommendationList]) -> int:
        """Write all in one round trip; returns how many were newer than what was held.

        Raises:
            StoreUnavailableError: Redis did not answer, retries included.
        """
        if not lists:
            return 0
        rows = [
            Row(rec_key(user_id), ready.version, encode_list(ready))
            for user_id, ready in lists.items()
        ]
        with answering(self._url):
            return await self._forward_only.write(rows)

    async def delete_lists(self, user_ids: Sequence[str]) -> int:
        """Forget lists, and what marketing made of the same sessions; returns how many lists there
        were.

        Raises:
            StoreUnavailableError: Redis did not answer, retries included.
        """
        with answering(self._url):
            # One DEL a key: on a cluster they lie in different slots.
            async with self._redis.pipeline(transaction=False) as pipeline:
                for user_id in user_ids:
                    pipeline.delete(rec_key(user_id))
                    pipeline.delete(segment_key(user_id))
                return sum((await pipeline.execute())[::2])

    async def write_trending(self, ready: RecommendationList, only_if_absent: bool = False) -> None:
        """Replace the fallback for everybody."""
        with answering(self._url):
            await self._redis.set(TRENDING_KEY, encode_list(ready), nx=only_if_absent)

    async def write_shelves(self, lists: Mapping[Shelf, RecommendationList | None]) -> None:
        """Replace lists that are nobody's own, in one pipeline; None takes one down."""
        if not lists:
            return
        with answering(self._url):
            async with self._redis.pipeline(transaction=False) as pipeline:
                for shelf, ready in lists.items():
                    if ready is None:
                        pipeline.delete(shelf_key(shelf))
                    else:
                        pipeline.set(shelf_key(shelf), encode_list(ready), ex=SHELF_TTL_S)
                await pipeline.execute()

    async def write_items(self, items: Sequence[CatalogueItem]) -> None:
        """Each item as a hash."""
        with answering(self._url):
            async with self._redis.pipeline(transaction=False) as pipeline:
                for item in items:
                    fields = {
                        k: ("" if v is None else str(int(v)) if isinstance(v, bool) else str(v))
                        for k, v in msgspec.structs.asdict(item).items()
                    }
                    pipeline.hset(item_key(item.item_id), mapping=fields)
                await pipeline.execute()

    async def delete_items(self, ids: Sequence[str]) -> None:
        """Forget items; unknown ones are no error."""
        if not ids:
            return
        with answering(self._url):
            # One DEL a key: on a cluster they lie in different slots.
            async with self._redis.pipeline(transaction=False) as pipeline:
                for item_id in ids:
                    pipeline.delete(item_key(item_id))
                await pipeline.execute()

    def at(self, _placement: str) -> "RedisStore":
        """Itself: no rules are known here."""
        return self

    async def read(self, user_id: str) -> RecommendationList | None:
        """A user's own list."""
        raw = await self.raw_list(user_id)
        return decode_list(raw) if raw else None

    def raw_list(self, user_id: str) -> Coroutine[Any, Any, bytes | None]:
        """A user's own list as it lies in Redis."""
        return self._reads.ask("GET", rec_key(user_id))

    def tell_list(self, user_id: str, heard: Heard) -> bool:
        """See `ListReader`."""
        return self._reads.tell(heard, "GET", rec_key(user_id))

    async def read_many(self, user_ids: Sequence[str]) -> list[RecommendationList | None]:
        """Lists of several users in one round trip."""
        with answering(self._url):
            # One GET a key: on a cluster they lie in different slots.
            async with self._redis.pipeline(transaction=False) as pipeline:
                for user_id in user_ids:
                    pipeline.get(rec_key(user_id))
                raw = await pipeline.execute()
        return [decode_list(value) if value else None for value in raw]

    async def trending(self) -> RecommendationList | None:
        """The fallback for everybody."""
        raw = await self._reads.ask("GET", TRENDING_KEY)
        return decode_list(raw) if raw else None

    async def shelf(self, shelf: Shelf) -> RecommendationList | None:
        """One of the lists that are nobody's own."""
        raw = await self._reads.ask("GET", shelf_key(shelf))
        return decode_list(raw) if raw else None

    async def items(self, ids: Sequence[str]) -> dict[str, CatalogueItem]:
        """Facts of several items in one round trip; unknown ids are left out."""
        rows = await self._reads.ask_all([("HGETALL", item_key(item_id)) for item_id in ids])
        return {item_id: _item(row) for item_id, row in zip(ids, rows, strict=True) if row}

    async def some_users(self, n: int) -> list[str]:
        """Up to `n` users that have a list.

        Raises:
            StoreUnavailableError: Redis did not answer soon.
        """
        try:
            async with asyncio.timeout(_PAGE_WAITS_S):
                return await self._users(n)
        except TimeoutError as error:
            raise unavailable(self._url, error) from error

    async def count_users(self) -> int:
        """How many users have a list. Walks the keys: for reports, not for pages."""
        return len(await self._users(1 << 31))

    async def ping(self) -> bool:
        """Whether Redis answers, soon."""
        try:
            async with asyncio.timeout(_PAGE_WAITS_S):
                return bool(await self._redis.ping())
        except (*AWAY, TimeoutError):
            return False

    async def server(self) -> str:
        """What the server says it is."""
        with answering(self._url):
            info = await self._redis.info("server")
        name = info.get("server_name", "redis")
        return f"{name} {info.get(f'{name}_version', info.get('redis_version', ''))}"

    async def close(self) -> None:
        """Give the connections back."""
        self._reads.close()
        await self._redis.aclose()

    async def _users(self, most: int) -> list[str]:
        users: list[str] = []
        with answering(self._url):
            async for key in self._redis.scan_iter(match=rec_key("*"), count=200):
                users.append(key.decode()[len("endcap:rec:{") : -1])
                if len(users) >= most:
                    break
        return users


def _item(row: Sequence[bytes]) -> CatalogueItem:
    """From names and values in turn; numbers need not be made text first."""
    held = dict(zip(row[::2], row[1::2], strict=True))
    get = held.get
    price, version, stock = get(b"price"), get(b"version"), get(b"stock")
    previous_price, changed_ms = get(b"previous_price"), get(b"price_changed_ms")
    return CatalogueItem(
        item_id=held[b"item_id"].decode(),
        title=held[b"title"].decode(),
        category=get(b"category", b"").decode(),
        department=get(b"department", b"").decode(),
        price=float(price) if price else None,
        in_stock=get(b"in_stock") != b"0",
        version=int(version) if version else None,
        previous_price=float(previous_price) if previous_price else None,
        price_changed_ms=int(changed_ms) if changed_ms else None,
        brand=get(b"brand", b"").decode(),
        stock=int(stock) if stock else None,
    )
