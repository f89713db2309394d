"""Several commands in one round trip, by threads: one server, or a cluster's nodes."""

import threading
from collections.abc import Sequence
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from endcap.client.errors import ListsUnavailableError, RequestError
from endcap.client.foreign import (
    FOREIGN,
    all_in_use,
    as_ours,
    ours,
    still_opening,
    without_password,
)
from endcap.client.nodes import places_by_node
from endcap.client.options import Options
from endcap.client.urls import checked_url, checked_urls, other_nodes

Command = tuple[str, ...]
_Node: Any = redis.cluster.ClusterNode


class Reads(Protocol):
    """Where commands go."""

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Their answers in their order; in place of one that did not come, a `ClientError`."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...


class OneServer:
    """One pipeline over a pool of connections."""

    def __init__(self, url: str, options: Options) -> None:
        url = checked_url(url)
        self._where = without_password(url)
        try:
            self._pool: Any = redis.BlockingConnectionPool.from_url(
                url,
                max_connections=options.max_connections,
                timeout=options.timeout_s,
                **_connection(options),
            )
        except ValueError as error:
            raise RequestError(
                f"The URL of {self._where} has a part that is wrong: {error}"
            ) from None
        self._redis: Any = redis.Redis(connection_pool=self._pool)

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """See `Reads`."""
        try:
            answers = _pipelined(self._redis, commands)
        except FOREIGN as error:
            return [as_ours(error, self._where)] * len(commands)
        return ours(answers, self._where)

    def close(self) -> None:
        """See `Reads`."""
        self._pool.disconnect()


class ClusterNodes:
    """A pipeline to each node that holds one of the keys, all written before any is read.

    It learns the nodes when it first asks. Where one of them does not answer, each is asked by
    itself: the keys of the others come.
    """

    def __init__(self, urls: Sequence[str], options: Options) -> None:
        self._urls = checked_urls(urls)
        self._where = ", ".join(map(without_password, self._urls))
        self._options = options
        self._free = threading.BoundedSemaphore(options.max_connections)
        self._opening = threading.Lock()
        self._cluster: Any = None

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """See `Reads`."""
        if not self._free.acquire(timeout=self._options.timeout_s):
            return [all_in_use(self._where, self._options)] * len(commands)
        try:
            answers = self._ask(commands)
        finally:
            self._free.release()
        return ours(answers, self._where)

    def close(self) -> None:
        """See `Reads`."""
        if self._cluster is not None:
            self._cluster.close()

    def _ask(self, commands: Sequence[Command]) -> list[Any]:
        try:
            cluster = self._opened()
        except (*FOREIGN, ListsUnavailableError) as error:
            return [error] * len(commands)
        try:
            return _pipelined(cluster, commands)
        except FOREIGN:
            return self._ask_each_node(cluster, commands)

    def _ask_each_node(self, cluster: Any, commands: Sequence[Command]) -> list[Any]:
        answers: list[Any] = [None] * len(commands)
        try:
            places = places_by_node(cluster, commands)
        except FOREIGN as error:
            return [error] * len(commands)
        for at in places:
            try:
                found = _pipelined(cluster, [commands[place] for place in at])
            except FOREIGN as error:
                found = [error] * len(at)
            for place, answer in zip(at, found, strict=True):
                answers[place] = answer
        return answers

    def _opened(self) -> Any:
        # One reader meets the nodes for all: where none of them answers, the others would each wait
        # for all before them.
        if not self._opening.acquire(timeout=self._options.timeout_s):
            raise still_opening(self._where)
        try:
            if self._cluster is None:
                self._cluster = redis.RedisCluster.from_url(
                    self._urls[0],
                    startup_nodes=[_Node(*at) for at in other_nodes(self._urls)],
                    max_connections=self._options.max_connections,
                    **_connection(self._options),
                )
            return self._cluster
        finally:
            self._opening.release()


def _pipelined(client: Any, commands: Sequence[Command]) -> list[Any]:
    with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers


def _connection(options: Options) -> dict[str, Any]:
    # Tries again are ours alone: redis-py's own would multiply with them.
    return {
        "socket_timeout": options.timeout_s,
        "socket_connect_timeout": options.timeout_s,
        "retry": Retry(NoBackoff(), 0),
    }
