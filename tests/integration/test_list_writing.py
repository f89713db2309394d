"""How lists come into Redis: in one round trip, on a cluster too."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis
from own_valkey import OwnValkey

from endcap.deploy.local_stack.ports import free_ports
from endcap.lists import ListItem, RecommendationList
from endcap.serving.redis_store import RedisStore

pytestmark = pytest.mark.integration


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[OwnValkey]:
    own = OwnValkey(tmp_path)
    yield own
    own.stop()


@pytest.fixture
async def store(valkey: OwnValkey) -> AsyncIterator[RedisStore]:
    opened = RedisStore(valkey.url)
    yield opened
    await opened.close()


def a_list(version: int, item: str = "milk") -> RecommendationList:
    return RecommendationList(version, "m", 1, (ListItem(item, 0.5, "popular right now"),))


async def test_a_batch_is_one_call_from_the_first_on(valkey: OwnValkey, store: RedisStore) -> None:
    assert await store.write_lists({f"u{n}": a_list(1) for n in range(64)}) == 64
    assert await store.write_lists({f"u{n}": a_list(2) for n in range(64)}) == 64
    calls = valkey.calls()
    assert (calls["eval"], calls["evalsha"]) == (1, 1)
    assert not {"script|load", "script|exists"} & calls.keys()


async def test_a_server_that_forgot_the_script_is_told_again(
    valkey: OwnValkey, store: RedisStore
) -> None:
    await store.write_lists({"u": a_list(5)})
    with redis.Redis.from_url(valkey.url) as client:
        client.script_flush()
    assert await store.write_lists({"u": a_list(6), "v": a_list(1)}) == 2
    assert await store.write_lists({"u": a_list(5), "v": a_list(2)}) == 1
    assert [found and found.version for found in await store.read_many(["u", "v"])] == [6, 2]


async def test_on_a_cluster_no_call_spans_slots(tmp_path: Path) -> None:
    bus = str(free_ports(1)[0])
    cluster = OwnValkey(tmp_path, "--cluster-enabled", "yes", "--cluster-port", bus)
    store = RedisStore(cluster.url)
    try:
        with redis.Redis.from_url(cluster.url) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            while client.cluster("INFO")["cluster_state"] != "ok":
                pass
        users = [f"u{n}" for n in range(8)]
        assert await store.write_lists({user: a_list(5) for user in users}) == 8
        assert await store.write_lists({user: a_list(4) for user in users}) == 0
        assert await store.write_lists({user: a_list(6) for user in users[:3]}) == 3
        held = await store.read_many(users)
        assert [found and found.version for found in held] == [6] * 3 + [5] * 5
        with redis.Redis.from_url(cluster.url) as client:
            client.script_flush()
        assert await store.write_lists({user: a_list(7) for user in users}) == 8
    finally:
        await store.close()
        cluster.stop()
