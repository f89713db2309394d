"""Lists are heard of on a Redis Cluster of three nodes too, and pushed by the rules in force."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis
from command_line import settings_for
from event_stream import listening
from redis_users import WRITER, as_user
from serve_process import ServeProcess
from valkey_cluster import ValkeyCluster, cluster_with_users

from endcap.deploy.local_stack import LocalStack
from endcap.lists import TRENDING_KEY, ListItem, RecommendationList, rec_key
from endcap.serving.list_changes import ListChanges, Listener
from endcap.serving.redis_store import RedisStore
from endcap.serving.rules_store import RulesStore
from endcap.streams.clients import create_topics
from endcap.topics import topics_with_prefix

pytestmark = pytest.mark.integration
SOON_S = 30.0
USERS = [f"u{n}" for n in range(12)]
NO_TEA = "rules: [{name: no tea, block: true, where: {item: tea}}]"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    """Of this file alone: a slot is moved, and at last a node is stopped."""
    with cluster_with_users(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def client(cluster: ValkeyCluster) -> Iterator[redis.RedisCluster]:
    with redis.RedisCluster.from_url(cluster.urls[0]) as opened:
        yield opened


def url_of(cluster: ValkeyCluster) -> str:
    return as_user(cluster.urls[1], WRITER) + "?cluster=true"


@asynccontextmanager
async def followed(cluster: ValkeyCluster) -> AsyncIterator[ListChanges]:
    changes = ListChanges(url_of(cluster))
    running = asyncio.create_task(changes.run())
    try:
        yield changes
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def heard(listener: Listener) -> bool:
    assert await listener.next(SOON_S)
    return listener.is_live


async def until(is_live: bool, listener: Listener) -> None:
    while listener.is_live is not is_live:
        assert await listener.next(SOON_S)


async def test_lists_of_all_nodes_are_heard_of_and_again_after_connections_were_lost(
    cluster: ValkeyCluster, client: redis.RedisCluster
) -> None:
    client.flushall(target_nodes=client.ALL_NODES)
    async with followed(cluster) as changes:
        pages = {user: changes.listen(user) for user in USERS}
        for page in pages.values():
            assert await heard(page)
        for user, page in pages.items():
            client.set(rec_key(user), "first")
            assert await heard(page)
        assert not await pages["u0"].next(0)
        nobody = changes.listen("nobody")
        assert await heard(nobody)
        client.set(TRENDING_KEY, "new")
        assert await heard(nobody)
        assert not await pages["u0"].next(0)
        for node in cluster.nodes:
            with redis.Redis.from_url(node.url) as one:
                one.client_kill_filter(_type="normal", skipme=True)
        for page in pages.values():
            assert await page.next(SOON_S)  # of the loss; by now it may be over
            await until(True, page)
        for user, page in pages.items():
            client.set(rec_key(user), "second")
            assert await heard(page)


async def test_a_list_whose_slot_moves_is_heard_of_where_it_is_now(
    cluster: ValkeyCluster, client: redis.RedisCluster
) -> None:
    key = rec_key("mover")
    client.set(key, "before")
    async with followed(cluster) as changes:
        mover = changes.listen("mover")
        assert await heard(mover)
        store = RedisStore(url_of(cluster))
        assert await store.raw_list("mover") == b"before"
        with moving_slot(cluster, key):
            assert await store.raw_list("mover") == b"before"
        client.set(key, "after")
        assert await store.raw_list("mover") == b"after"
        assert await heard(mover)
        assert mover.is_live
        client.set(key, "later")
        assert await heard(mover)
        await store.close()


@contextmanager
def moving_slot(cluster: ValkeyCluster, key: str) -> Iterator[None]:
    """The slot of a key, with this one key in it, on the way to another node; at the end there."""
    source = cluster.node_of(key)
    target = next(node for node in cluster.nodes if node is not source)
    with redis.Redis.from_url(source.url) as old, redis.Redis.from_url(target.url) as new:
        slot = old.cluster("KEYSLOT", key)
        ids = [str(one.execute_command("CLUSTER", "MYID").decode()) for one in (old, new)]
        new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        old.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
        yield
        for one in (new, old):
            one.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[1])


async def test_a_server_on_a_cluster_pushes_what_the_rules_allow(
    cluster: ValkeyCluster, stack: LocalStack, tmp_path: Path
) -> None:
    prefix = f"t{uuid4().hex[:8]}"
    await create_topics(stack.bootstrap_servers, topics_with_prefix(prefix), 1)
    store, rules = RedisStore(url_of(cluster)), RulesStore(url_of(cluster))
    settings = settings_for(stack, prefix) | {"ENDCAP_REDIS_URL": url_of(cluster)}
    server = await asyncio.to_thread(ServeProcess, tmp_path, settings)
    try:
        async with (
            httpx.AsyncClient(base_url=server.url) as client,
            listening(client, "ann") as page,
        ):
            await store.write_trending(a_list(1, "tea", "milk"))
            await page.until_shown("tea", "milk")
            await store.write_lists({"ann": a_list(1, "tea", "brie")})
            said = await page.until_shown("tea", "brie")
            assert (said["source"], said["is_live"]) == ("own", True)
            await rules.apply(NO_TEA, "ann")
            await page.until_shown("brie")
            await store.write_lists({"ann": a_list(2, "bread", "tea")})
            await page.until_shown("bread")
    finally:
        server.child.stop()
        await store.close()
        await rules.close()


def a_list(version: int, *items: str) -> RecommendationList:
    return RecommendationList(version, "m", 5, tuple(ListItem(item, 0.5, "why") for item in items))


async def test_with_a_node_gone_the_lists_of_the_others_are_heard_of(
    cluster: ValkeyCluster, client: redis.RedisCluster
) -> None:
    gone = cluster.node_of(rec_key("u0"))
    away = {user for user in USERS if cluster.node_of(rec_key(user)) is gone}
    assert 0 < len(away) < len(USERS)
    for user in USERS:
        client.set(rec_key(user), "first")
    async with followed(cluster) as changes:
        pages: dict[str, Any] = {user: changes.listen(user) for user in USERS}
        for page in pages.values():
            assert await heard(page)
        gone.stop()
        for user in away:
            await until(False, pages[user])
        for user in set(USERS) - away:
            client.set(rec_key(user), "second")
            assert await heard(pages[user])
