"""Several commands in one round trip, by asyncio: one server, or a cluster's nodes."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import redis.asyncio as redis
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

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


class AsyncReads(Protocol):
    """Where commands go."""

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Their answers in their order; in place of one that did not come, a `ClientError`."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...


class AsyncOneServer:
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

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """See `AsyncReads`."""
        try:
            answers = await _pipelined(self._redis, commands)
        except FOREIGN as error:
            return [as_ours(error, self._where)] * len(commands)
        return ours(answers, self._where)

    async def close(self) -> None:
        """See `AsyncReads`."""
        await self._pool.disconnect()


class AsyncClusterNodes:
    """A pipeline to each node that holds one of the keys, side by side.

    It learns the nodes when it first asks. Where one of them does not answer, each is asked by
    itself: the keys of the others come.
    """

    def __init__(self, urls: Sequence[str], options: Options) -> None:
        self._urls = checked_urls(urls)
        self._where = ", ".join(map(without_password, self._urls))
        self._options = options
        self._free = asyncio.Semaphore(options.max_connections)
        self._opening = asyncio.Lock()
        self._cluster: Any = redis.RedisCluster.from_url(
            self._urls[0],
            startup_nodes=[ClusterNode(*at) for at in other_nodes(self._urls)],
            **_connection(options),
        )

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """See `AsyncReads`."""
        try:
            async with asyncio.timeout(self._options.timeout_s):
                await self._free.acquire()
        except TimeoutError:
            return [all_in_use(self._where, self._options)] * len(commands)
        try:
            answers = await self._ask(commands)
        finally:
            self._free.release()
        return ours(answers, self._where)

    async def close(self) -> None:
        """See `AsyncReads`."""
        await self._cluster.aclose()

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        try:
            await self._open()
        except (*FOREIGN, ListsUnavailableError) as error:
            return [error] * len(commands)
        try:
            return await _pipelined(self._cluster, commands)
        except FOREIGN:
            return await self._ask_each_node(commands)

    async def _ask_each_node(self, commands: Sequence[Command]) -> list[Any]:
        answers: list[Any] = [None] * len(commands)
        try:
            await self._open()
            places = places_by_node(self._cluster, commands)
        except (*FOREIGN, ListsUnavailableError) as error:
            return [error] * len(commands)

        async def ask(at: list[int]) -> None:
            try:
                found = await _pipelined(self._cluster, [commands[place] for place in at])
            except FOREIGN as error:
                found = [error] * len(at)
            for place, answer in zip(at, found, strict=True):
                answers[place] = answer

        await asyncio.gather(*map(ask, places))
        return answers

    async def _open(self) -> None:
        """Meet the nodes, where they are not known yet or were lost."""
        # One reader for all: where none of them answers, the others would each wait for all before.
        try:
            async with asyncio.timeout(self._options.timeout_s):
                await self._opening.acquire()
        except TimeoutError:
            raise still_opening(self._where) from None
        try:
            await self._cluster.initialize()
        finally:
            self._opening.release()


async def _pipelined(client: Any, commands: Sequence[Command]) -> list[Any]:
    async with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers


def _connection(options: Options) -> dict[str, Any]:
    # Tries again are ours alone: redis-py's own would multiply with them.
    return {
        "socket_timeout": options.timeout_s,
        "socket_connect_timeout": options.timeout_s,
        "retry": Retry(NoBackoff(), 0),
    }
