"""What the processes write and read on a Redis Cluster of three nodes, as the writer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis
from redis_users import WRITER, as_user
from valkey_cluster import ValkeyCluster

from endcap.catalogue import CatalogueItem
from endcap.errors import StoreUnavailableError
from endcap.lists import ListItem, RecommendationList, Shelf, encode_list, rec_key
from endcap.serving.redis_store import RedisStore
from endcap.serving.rules_store import RulesStore

pytestmark = pytest.mark.integration
MILK = CatalogueItem("milk", "Whole milk", "Dairy", "Grocery", 1.19)


def a_list(version: int, item: str = "milk") -> RecommendationList:
    return RecommendationList(version, "m", 1, (ListItem(item, 0.5, "popular right now"),))


@pytest.fixture
async def store(valkey_cluster: ValkeyCluster) -> AsyncIterator[RedisStore]:
    with redis.RedisCluster.from_url(valkey_cluster.urls[0]) as client:
        client.flushall(target_nodes=client.ALL_NODES)
    opened = RedisStore(as_user(valkey_cluster.urls[1], WRITER) + "?cluster=true")
    yield opened
    await opened.close()


async def test_lists_of_all_nodes_only_move_forward(
    store: RedisStore, valkey_cluster: ValkeyCluster
) -> None:
    users = [f"u{n}" for n in range(20)]
    assert await store.write_lists({user: a_list(5) for user in users}) == 20
    assert await store.write_lists({user: a_list(4, "older") for user in users}) == 0
    assert await store.write_lists({user: a_list(6) for user in users[:3]}) == 3
    with redis.RedisCluster.from_url(valkey_cluster.urls[0]) as client:
        client.script_flush()
    assert await store.write_lists({user: a_list(7) for user in users}) == 20
    held = await store.read_many(users)
    assert [found and found.version for found in held] == [7] * 20
    assert await store.read("u7") == a_list(7)
    assert sorted(await store.some_users(100)) == sorted(users)
    assert await store.delete_lists([*users, "nobody"]) == 20
    assert await store.read("u7") is None


async def test_who_is_called_hears_of_lists_on_all_nodes(store: RedisStore) -> None:
    users = [f"u{n}" for n in range(20)]
    lists = {user: a_list(n) for n, user in enumerate(users)}
    await store.write_lists(lists)
    assert not store.tell_list("u0", print)  # where its slot lies is not known yet
    for user in users:
        await store.raw_list(user)
    heard = {user: asyncio.get_running_loop().create_future() for user in users}
    assert all(store.tell_list(user, heard[user].set_result) for user in users)
    assert {user: await heard[user] for user in users} == {
        user: encode_list(ready) for user, ready in lists.items()
    }


async def test_shelves_items_and_trending_are_written_and_read(store: RedisStore) -> None:
    shelves = [Shelf("now"), *(Shelf("similar", f"i{n}") for n in range(20))]
    await store.write_shelves({shelf: a_list(n) for n, shelf in enumerate(shelves)})
    await store.write_trending(a_list(3))
    await store.write_trending(a_list(9), only_if_absent=True)
    assert [await store.shelf(shelf) for shelf in shelves] == [
        a_list(n) for n in range(len(shelves))
    ]
    assert await store.trending() == a_list(3)
    await store.write_shelves(dict.fromkeys(shelves))
    assert await store.shelf(shelves[3]) is None
    items = [CatalogueItem(f"i{n}", f"Item {n}", price=float(n)) for n in range(20)]
    await store.write_items([*items, MILK])
    assert await store.items([f"i{n}" for n in range(21)]) == {i.item_id: i for i in items}
    await store.delete_items(["milk", "?"])
    assert await store.items(["milk"]) == {}
    assert await store.ping()
    assert "valkey" in await store.server()


async def test_rules_are_applied_and_read(store: RedisStore, valkey_cluster: ValkeyCluster) -> None:
    rules = RulesStore(as_user(valkey_cluster.urls[2], WRITER) + "?cluster=true")
    assert await rules.newest() is None
    await rules.apply("rules: []", "ann")
    newest = await rules.apply("", "bob")
    assert await rules.newest() == newest
    assert [each.who for each in await rules.history(9)] == ["bob", "ann"]
    await rules.close()


async def test_a_node_that_stands_still_takes_its_own_keys_alone_and_comes_back(
    store: RedisStore, valkey_cluster: ValkeyCluster
) -> None:
    users = [f"u{n}" for n in range(12)]
    await store.write_lists({user: a_list(5) for user in users})
    still = valkey_cluster.node_of(rec_key("u0"))
    away = {user for user in users if valkey_cluster.node_of(rec_key(user)) is still}
    assert await store.raw_list("u0")
    still.pause()
    try:
        with pytest.raises(StoreUnavailableError):
            await store.raw_list("u0")
        for user in users:
            if user in away:
                with pytest.raises(StoreUnavailableError):
                    await store.raw_list(user)  # told at once: nobody waits again
            else:
                assert await store.raw_list(user)
    finally:
        still.resume()
    async with asyncio.timeout(30):
        while True:
            try:
                assert await store.raw_list("u0")
                break
            except StoreUnavailableError:
                await asyncio.sleep(0.05)


async def test_a_cluster_that_is_away_is_named() -> None:
    rules = RulesStore("redis://127.0.0.1:1?cluster=true")
    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1:1"):
        await rules.newest()
    await rules.close()
    store = RedisStore("redis://127.0.0.1:1?cluster=true")
    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1:1"):
        await store.read("u")
    with pytest.raises(StoreUnavailableError):
        await store.write_lists({"u": a_list(1)})
    assert not await store.ping()
    await store.close()
