"""What a Redis-compatible server says of its memory and its clock."""

import time
from typing import NamedTuple

from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from endcap.serving.cluster_reads import answering, open_redis

_TIMEOUT_S = 5.0


class StoreState(NamedTuple):
    """Of the server, or of one node of a cluster. `limit_bytes`: 0 where none is set. `ahead_s`:
    its clock by ours; below 0 it is behind."""

    used_bytes: int
    limit_bytes: int
    policy: str
    ahead_s: float


async def store_state(url: str) -> StoreState:
    """By INFO alone, which the writer's user may ask.

    Raises:
        StoreUnavailableError: it does not answer, retries included.
    """
    client = open_redis(url, _TIMEOUT_S, Retry(ExponentialBackoff(cap=1.0, base=0.05), 3))
    try:
        with answering(url):
            memory = await client.info("memory")
            asked = time.time()
            server = await client.info("server")
            ours = (asked + time.time()) / 2
    finally:
        await client.aclose()
    theirs = int(server["server_time_usec"]) / 1e6
    return StoreState(
        int(memory["used_memory"]),
        int(memory["maxmemory"]),
        str(memory["maxmemory_policy"]),
        theirs - ours,
    )
