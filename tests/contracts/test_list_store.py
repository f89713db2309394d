"""What every store of lists promises: in Redis, on a real server, and in memory."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import redis.asyncio as redis

from endcap.catalogue import CatalogueItem
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports
from endcap.errors import StoreUnavailableError
from endcap.lists import (
    REC_TTL_S,
    SHELF_TTL_S,
    ListItem,
    RecommendationList,
    Shelf,
    encode_list,
    rec_key,
    shelf_key,
)
from endcap.serving.memory_store import MemoryStore
from endcap.serving.redis_store import RedisStore

Store = RedisStore | MemoryStore


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    stack: LocalStack = request.getfixturevalue("stack")
    opened = RedisStore(stack.redis_url)
    yield opened
    await opened.close()


def a_list(version: int, item: str = "milk") -> RecommendationList:
    return RecommendationList(version, "m", 1, (ListItem(item, 0.5, "popular right now"),))


async def test_a_list_only_moves_forward(store: Store) -> None:
    user = uuid4().hex
    assert await store.write_lists({user: a_list(5)}) == 1
    assert await store.write_lists({user: a_list(4, "older")}) == 0
    assert await store.read(user) == a_list(5)
    assert await store.write_lists({user: a_list(5, "again")}) == 1
    assert await store.write_lists({user: a_list(10, "newer")}) == 1
    assert await store.read(user) == a_list(10, "newer")


@pytest.mark.integration
async def test_a_list_expires(stack: LocalStack) -> None:
    user = uuid4().hex
    store = RedisStore(stack.redis_url)
    await store.write_lists({user: a_list(1)})
    await store.close()
    client = redis.Redis.from_url(stack.redis_url)
    try:
        assert 0 < await client.ttl(rec_key(user)) <= REC_TTL_S
    finally:
        await client.aclose()


async def test_who_has_no_list_reads_none(store: Store) -> None:
    known = uuid4().hex
    await store.write_lists({known: a_list(1)})
    assert await store.read_many([uuid4().hex, known]) == [None, a_list(1)]
    assert await store.write_lists({}) == 0


async def test_a_list_that_was_deleted_is_not_there_and_may_come_again(store: Store) -> None:
    user = uuid4().hex
    await store.write_lists({user: a_list(7)})
    assert await store.delete_lists([user, uuid4().hex]) == 1
    assert await store.read(user) is None
    assert await store.delete_lists([user]) == 0
    assert await store.write_lists({user: a_list(1)}) == 1


async def test_items_round_trip_and_unknown_ones_are_left_out(store: Store) -> None:
    full = CatalogueItem(
        uuid4().hex, "Milk, 1 l", "Dairy", "Grocery", 1.25, False, 7, 1.15, 1_764_000_000_000
    )
    bare = CatalogueItem(uuid4().hex, "Bread")
    await store.write_items([full, bare])
    found = await store.items([full.item_id, bare.item_id, "nobody"])
    assert found == {full.item_id: full, bare.item_id: bare}


async def test_an_item_that_was_deleted_is_unknown(store: Store) -> None:
    kept, gone = (CatalogueItem(uuid4().hex, title) for title in ("Milk", "Fax paper"))
    await store.write_items([kept, gone])
    await store.delete_items([gone.item_id, "nobody"])
    await store.delete_items([])
    assert await store.items([kept.item_id, gone.item_id]) == {kept.item_id: kept}


async def test_a_list_as_it_lies_there_is_its_json(store: Store) -> None:
    user = uuid4().hex
    assert await store.raw_list(user) is None
    await store.write_lists({user: a_list(1)})
    assert await store.raw_list(user) == encode_list(a_list(1))
    heard = asyncio.get_running_loop().create_future()
    if store.tell_list(user, heard.set_result):
        assert await heard == encode_list(a_list(1))


async def test_the_fallback_is_replaced_or_kept_as_asked(store: Store) -> None:
    await store.write_trending(a_list(1, "first"))
    await store.write_trending(a_list(2, "second"), only_if_absent=True)
    assert await store.trending() == a_list(1, "first")
    await store.write_trending(a_list(3, "third"))
    assert await store.trending() == a_list(3, "third")


async def test_shelves_are_replaced_and_taken_down(store: Store) -> None:
    name = uuid4().hex
    shelves = [Shelf(kind, name) for kind in ("category", "store", "similar")]
    await store.write_shelves({shelf: a_list(n) for n, shelf in enumerate(shelves)})
    assert [await store.shelf(shelf) for shelf in shelves] == [a_list(n) for n in range(3)]
    await store.write_shelves(
        {shelves[0]: None, shelves[1]: a_list(9), Shelf("similar", "x"): None}
    )
    await store.write_shelves({})
    assert [await store.shelf(shelf) for shelf in shelves] == [None, a_list(9), a_list(2)]


@pytest.mark.integration
async def test_a_shelf_expires(stack: LocalStack) -> None:
    shelf = Shelf("similar", uuid4().hex)
    store = RedisStore(stack.redis_url)
    await store.write_shelves({shelf: a_list(1)})
    await store.close()
    client = redis.Redis.from_url(stack.redis_url)
    try:
        assert 0 < await client.ttl(shelf_key(shelf)) <= SHELF_TTL_S
    finally:
        await client.aclose()


async def test_some_users_have_a_list(store: Store) -> None:
    users = {uuid4().hex: a_list(1) for _ in range(3)}
    await store.write_lists(users)
    assert users.keys() <= set(await store.some_users(100_000))
    assert len(await store.some_users(2)) == 2
    assert await store.ping()


async def test_a_store_that_is_away_says_what_to_do() -> None:
    away = RedisStore(f"redis://127.0.0.1:{free_ports(1)[0]}/0")
    with pytest.raises(StoreUnavailableError, match="ENDCAP_REDIS_URL"):
        await away.write_lists({"u": a_list(1)})
    assert await away.ping() is False
    await away.close()
