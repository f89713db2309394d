"""The Python clients on a Redis Cluster of three nodes."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import NoPermissionError
from redis_users import READER, WRITES, as_user, refused
from valkey_cluster import ValkeyCluster

from endcap.catalogue import CatalogueItem
from endcap.client import (
    Answer,
    AsyncClient,
    Client,
    ListsUnavailableError,
    Observation,
    Options,
    ReadRefusedError,
)
from endcap.lists import ListItem, RecommendationList, Shelf, encode_list, shelf_key

pytestmark = pytest.mark.integration
PATIENT = {"timeout_s": 5.0, "deadline_s": 30.0}
MILK = CatalogueItem("milk", "Whole milk", "Dairy", "Grocery", 1.19)


def a_list(item: str) -> bytes:
    return encode_list(RecommendationList(7, "m", 5, (ListItem(item, 0.5, "why"),)))


@pytest.fixture(scope="module")
def users(valkey_cluster: ValkeyCluster) -> dict[str, str]:
    """Users with a list, by the node that holds it: one of each."""
    by_node: dict[str, str] = {}
    number = 0
    while len(by_node) < len(valkey_cluster.nodes):
        key = f"endcap:rec:{{user-{number}}}"
        by_node.setdefault(valkey_cluster.node_of(key).url, f"user-{number}")
        number += 1
    return by_node


@pytest.fixture(autouse=True)
def _filled(valkey_cluster: ValkeyCluster, users: dict[str, str]) -> None:
    values = {
        shelf_key(Shelf("similar", "milk")): a_list("bread"),
        shelf_key(Shelf("category", "Dairy")): a_list("cheese"),
        "endcap:trending": a_list("tea"),
        **{f"endcap:rec:{{{user}}}": a_list("own") for user in users.values()},
    }
    with redis.RedisCluster.from_url(valkey_cluster.urls[0]) as client:
        client.flushall(target_nodes=client.ALL_NODES)
        for key, value in values.items():
            client.set(key, value)
        facts = {"title": MILK.title, "category": "Dairy", "department": "Grocery"}
        client.hset("endcap:item:{milk}", mapping={**facts, "price": "1.19", "in_stock": "1"})


def urls(cluster: ValkeyCluster) -> list[str]:
    return [as_user(url, READER) for url in cluster.urls]


def ask(cluster: ValkeyCluster, kind: str, options: Options, *asked: tuple[Any, ...]) -> list[Any]:
    """Answers, in their order; an error that was raised in place of one."""
    if kind == "sync":
        with Client.connect_to_cluster(*urls(cluster), options=options) as shop:
            return [_tried(lambda q=q: shop.recommend(*q[:1], **q[1])) for q in asked]

    async def main() -> list[Any]:
        async with AsyncClient.connect_to_cluster(*urls(cluster), options=options) as shop:
            return [
                (await asyncio.gather(shop.recommend(*q[:1], **q[1]), return_exceptions=True))[0]
                for q in asked
            ]

    return asyncio.run(main())


def _tried(call: Any) -> Any:
    try:
        return call()
    except ListsUnavailableError as error:
        return error


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_chain_is_read_in_one_try_whichever_nodes_hold_it(
    valkey_cluster: ValkeyCluster, users: dict[str, str], kind: str
) -> None:
    seen: list[Observation] = []
    options = Options(**PATIENT, observe=seen.append)
    whole = {"last_item": "milk", "category": "Dairy"}
    asked = [(user, whole) for user in users.values()]
    asked += [("?", whole), ("?", {"category": "Dairy"}), ("?", {})]
    answers = ask(valkey_cluster, kind, options, *asked)
    sources = [answer.source for answer in answers]
    assert sources == ["own", "own", "own", "similar", "category", "trending"]
    assert {(read.tries, read.error) for read in seen} == {(1, "")}


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_read_asks_each_key_once_of_the_node_that_holds_it(
    valkey_cluster: ValkeyCluster, users: dict[str, str], kind: str
) -> None:
    whole = {"last_item": "milk", "category": "Dairy"}
    (user, *_) = users.values()
    chain = ("endcap:similar:{milk}", "endcap:trending:Dairy", "endcap:trending")
    held = Counter(valkey_cluster.node_of(key).url for key in (f"endcap:rec:{{{user}}}", *chain))

    def asked(reads: int) -> dict[str, Counter[str]]:
        for node in valkey_cluster.nodes:
            node.reset_calls()
        ask(valkey_cluster, kind, Options(**PATIENT), *[(user, whole)] * reads)
        return {node.url: Counter(node.calls()) for node in valkey_cluster.nodes}

    two, twelve = asked(2), asked(12)
    for url in valkey_cluster.urls:
        # A redirection would be another GET.
        assert twelve[url]["get"] - two[url]["get"] == 10 * held[url]
    # Connecting costs the same in both, at whichever node.
    assert sum(twelve.values(), Counter()) - sum(two.values(), Counter()) == Counter(get=40)


def test_a_cluster_that_is_nowhere_is_said(valkey_cluster: ValkeyCluster) -> None:
    options = Options(tries=2, backoff_s=0.001)
    nowhere = "redis://127.0.0.1:1"
    with Client.connect_to_cluster(nowhere, options=options) as shop:
        assert shop.recommend_or_nothing("ann").source == "none"
        with pytest.raises(ListsUnavailableError, match=r"127\.0\.0\.1:1"):
            shop.recommend("ann")
    # One that answers is enough, whichever it is.
    found = (nowhere, *urls(valkey_cluster)[:1])
    with Client.connect_to_cluster(*reversed(found), options=Options(**PATIENT)) as shop:
        assert shop.items(["milk", "?"]) == {"milk": MILK}


async def test_a_wrong_password_is_refused_by_a_cluster_too(valkey_cluster: ValkeyCluster) -> None:
    url = valkey_cluster.urls[0].replace("redis://", "redis://endcap-reader:wr0ng@")
    options = Options(**PATIENT)
    with (
        Client.connect_to_cluster(url, options=options) as shop,
        pytest.raises(ReadRefusedError, match="password"),
    ):
        shop.recommend("ann")
    async with AsyncClient.connect_to_cluster(url, options=options) as other:
        with pytest.raises(ReadRefusedError, match="password"):
            await other.recommend("ann")


def test_a_reader_of_a_cluster_can_write_nowhere(
    valkey_cluster: ValkeyCluster, users: dict[str, str]
) -> None:
    for url, user in users.items():
        with redis.Redis.from_url(as_user(url, READER)) as reader:
            key = f"endcap:rec:{{{user}}}"
            assert reader.get(key) == a_list("own")
            assert refused(reader, key) == [command[0] for command in WRITES]
            with pytest.raises(NoPermissionError):
                reader.execute_command("CLUSTER", "RESET")


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_readers_of_a_cluster_that_is_deaf_do_not_each_wait_for_all_before_them(
    kind: str,
) -> None:
    calls = 0

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await reader.read()  # until it hangs up: nothing is ever said
        writer.close()

    async with await asyncio.start_server(met, "127.0.0.1", 0) as deaf:
        url = f"redis://127.0.0.1:{deaf.sockets[0].getsockname()[1]}"
        options = Options(timeout_s=0.2, tries=1)
        readers = 30
        if kind == "sync":
            shop = Client.connect_to_cluster(url, options=options)
            with ThreadPoolExecutor(readers) as threads:
                loop = asyncio.get_running_loop()
                answers = await asyncio.gather(
                    *(
                        loop.run_in_executor(threads, shop.recommend_or_nothing, "ann")
                        for _ in range(readers)
                    )
                )
            shop.close()
        else:
            async with AsyncClient.connect_to_cluster(url, options=options) as other:
                answers = await asyncio.gather(
                    *(other.recommend_or_nothing("ann") for _ in range(readers))
                )
    assert {answer.source for answer in answers} == {"none"}
    assert all("did not answer" in answer.problem for answer in answers)
    assert calls < readers / 2


async def test_with_a_node_gone_the_others_go_on(tmp_path: Path) -> None:
    """On a cluster of its own: a node that is stopped comes back as a stranger."""
    cluster = ValkeyCluster(tmp_path)
    options = Options(**PATIENT, tries=2, backoff_s=0.001)
    shop = Client.connect_to_cluster(cluster.urls[0], options=options)
    other = AsyncClient.connect_to_cluster(cluster.urls[0], options=options)
    try:
        by_node = {cluster.node_of(f"endcap:rec:{{{n}}}").url: str(n) for n in range(40)}
        away = cluster.node_of("endcap:trending")
        gone = by_node.pop(away.url)
        with redis.RedisCluster.from_url(cluster.urls[0]) as client:
            for user in by_node.values():
                client.set(f"endcap:rec:{{{user}}}", a_list("own"))
        assert shop.recommend(gone) == await other.recommend(gone) == Answer("none")
        away.stop()
        for user in by_node.values():
            assert shop.recommend(user).source == "own"
            assert (await other.recommend(user)).source == "own"
        with pytest.raises(ListsUnavailableError):
            shop.recommend(gone)
        with pytest.raises(ListsUnavailableError):
            await other.recommend(gone)
    finally:
        shop.close()
        await other.close()
        cluster.stop()
