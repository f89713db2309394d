"""What every store of lists promises, on a real server."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from endcap.catalogue import CatalogueItem
from endcap.deploy.local_stack import LocalStack
from endcap.errors import StoreUnavailableError
from endcap.lists import REC_TTL_S, ListItem, RecommendationList, rec_key
from endcap.serving.redis_store import RedisStore

pytestmark = pytest.mark.integration


@pytest.fixture
async def store(stack: LocalStack) -> AsyncIterator[RedisStore]:
    opened = RedisStore(stack.redis_url)
    yield opened
    await opened.close()


def a_list(version: int, item: str = "milk") -> RecommendationList:
    return RecommendationList(version, "m", 1, (ListItem(item, 0.5, "popular right now"),))


async def test_a_list_only_moves_forward(store: RedisStore) -> None:
    user = uuid4().hex
    assert await store.write_lists({user: a_list(5)}) == 1
    assert await store.write_lists({user: a_list(4, "older")}) == 0
    assert await store.read(user) == a_list(5)
    assert await store.write_lists({user: a_list(5, "again")}) == 1
    assert await store.write_lists({user: a_list(10, "newer")}) == 1
    assert await store.read(user) == a_list(10, "newer")


async def test_a_list_expires(store: RedisStore, stack: LocalStack) -> None:
    import redis.asyncio as redis

    user = uuid4().hex
    await store.write_lists({user: a_list(1)})
    client = redis.Redis.from_url(stack.redis_url)
    try:
        assert 0 < await client.ttl(rec_key(user)) <= REC_TTL_S
    finally:
        await client.aclose()


async def test_who_has_no_list_reads_none(store: RedisStore) -> None:
    known = uuid4().hex
    await store.write_lists({known: a_list(1)})
    assert await store.read_many([uuid4().hex, known]) == [None, a_list(1)]
    assert await store.write_lists({}) == 0


async def test_items_round_trip_and_unknown_ones_are_left_out(store: RedisStore) -> None:
    full = CatalogueItem(uuid4().hex, "Milk, 1 l", "Dairy", "Grocery", 1.25, in_stock=False)
    bare = CatalogueItem(uuid4().hex, "Bread")
    await store.write_items([full, bare])
    found = await store.items([full.item_id, bare.item_id, "nobody"])
    assert found == {full.item_id: full, bare.item_id: bare}


async def test_a_store_that_is_away_says_what_to_do() -> None:
    from endcap.deploy.local_stack.ports import free_ports

    away = RedisStore(f"redis://127.0.0.1:{free_ports(1)[0]}/0")
    with pytest.raises(StoreUnavailableError, match="ENDCAP_REDIS_URL"):
        await away.write_lists({"u": a_list(1)})
    assert await away.ping() is False
    await away.close()
