"""A Redis that answers and takes no writes is waited for, as one that is away; it is counted."""

from pathlib import Path

import pytest
import redis
from own_valkey import OwnValkey
from prometheus_client import REGISTRY

from endcap.errors import StoreUnavailableError
from endcap.lists import ListItem, RecommendationList
from endcap.serving.redis_store import RedisStore

pytestmark = pytest.mark.integration


def failures(reason: str) -> float:
    return REGISTRY.get_sample_value("endcap_redis_failures_total", {"reason": reason}) or 0.0


async def test_a_full_redis_says_what_helps_and_takes_the_list_once_it_has_room(
    tmp_path: Path,
) -> None:
    valkey = OwnValkey(tmp_path)
    store = RedisStore(valkey.url)
    lists = {"u": RecommendationList(1, "m", 1, (ListItem("i", 1.0, "why"),))}
    before = failures("out_of_memory")
    try:
        with redis.Redis.from_url(valkey.url) as operator:
            operator.config_set("maxmemory", "1")
            with pytest.raises(StoreUnavailableError, match=r"takes no writes .*Raise maxmemory"):
                await store.write_lists(lists)
            with pytest.raises(StoreUnavailableError, match="Raise maxmemory"):
                await store.write_trending(lists["u"])
            assert failures("out_of_memory") == before + 2
            operator.config_set("maxmemory", "0")
        assert await store.write_lists(lists) == 1
    finally:
        await store.close()
        valkey.stop()


async def test_a_replica_refuses_and_is_counted_apart(tmp_path: Path) -> None:
    valkey = OwnValkey(tmp_path)
    store = RedisStore(valkey.url)
    lists = {"u": RecommendationList(1, "m", 1, ())}
    before = failures("read_only")
    try:
        with redis.Redis.from_url(valkey.url) as operator:
            operator.replicaof("127.0.0.1", "1")
            with pytest.raises(StoreUnavailableError):
                await store.write_lists(lists)
        assert failures("read_only") == before + 1
    finally:
        await store.close()
        valkey.stop()
