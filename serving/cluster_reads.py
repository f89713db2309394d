"""One server or a Redis Cluster, as the URL says: opened; and a cluster read as one server is."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.exceptions import ClusterDownError, RedisClusterException
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from endcap.serving.shared_reads import unavailable

AWAY = (RedisConnectionError, RedisTimeoutError, RedisClusterException, ClusterDownError)
"""What redis-py raises where a server, a cluster or one of its nodes does not answer."""


def is_cluster(url: str) -> bool:
    """Whether the URL says so.

    >>> is_cluster("redis://node-1:6379?cluster=true"), is_cluster("redis://store:6379/0")
    (True, False)
    """
    return dict(parse_qsl(urlsplit(url).query)).get("cluster") == "true"


def open_redis(url: str, timeout_s: float, retry: Retry) -> Any:
    """An async client: of the cluster that this node belongs to where the URL says so, else of the
    one server. It raises those of `AWAY` when it does not answer, retries included."""
    if is_cluster(url):
        return _open_cluster(url, timeout_s, retry)
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=retry,
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
    )


class ClusterReads:
    """As `SharedReads`, by a pipeline to each node that holds a key."""

    def __init__(self, url: str, cluster: Any) -> None:
        """`cluster`: whoever opened it closes it."""
        self._url = url
        self._cluster = cluster

    async def ask(self, *command: str | bytes | int) -> Any:
        """The answer to a command that changes nothing.

        Raises:
            StoreUnavailableError: no connection, or no answer in time.
            redis.exceptions.ResponseError: the server refused the command.
        """
        return (await self.ask_all((command,)))[0]

    async def ask_all(self, commands: Sequence[tuple[str | bytes | int, ...]]) -> list[Any]:
        """The answers to several, which go out together; see `ask`."""
        try:
            async with self._cluster.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                return [_flat(answer) for answer in await pipeline.execute()]
        except AWAY as error:
            raise unavailable(self._url, error) from error

    def close(self) -> None:
        """Nothing of its own is open."""


def _open_cluster(url: str, timeout_s: float, retry: Retry) -> Any:
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "cluster"]
    return redis.RedisCluster.from_url(
        urlunsplit(parts._replace(query=urlencode(query))),
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=retry,
    )


def _flat(answer: Any) -> Any:
    """A hash as names and values in turn, as it comes from one server."""
    if isinstance(answer, dict):
        return [word for pair in answer.items() for word in pair]
    return answer
