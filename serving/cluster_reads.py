"""One server or a Redis Cluster, as the URL says: opened; and a cluster read as one server is."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import hiredis
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.exceptions import (
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from endcap.errors import StoreUnavailableError
from endcap.serving import metrics
from endcap.serving.redis_connection import Heard, Word
from endcap.serving.shared_reads import SharedReads, unavailable
from endcap.serving.slot_map import ASK_SLOTS, SlotMap, beside, node_url, slots_of

AWAY = (RedisConnectionError, RedisTimeoutError, RedisClusterException, ClusterDownError)
"""What redis-py raises where a server, a cluster or one of its nodes does not answer."""
_MOVES = 4
"""A key that is said to lie elsewhere for more often than this is given up."""


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


@contextmanager
def answering(url: str) -> Iterator[None]:
    """What `open_redis` raises, as ours.

    Raises:
        StoreUnavailableError: the server does not answer, retries included, or takes no writes.
    """
    try:
        yield
    except AWAY as error:
        metrics.REDIS_FAILURES.labels("away").inc()
        raise unavailable(url, error) from error
    # A master that has become a replica refuses writes until the client is led to the new one.
    except ReadOnlyError as error:
        metrics.REDIS_FAILURES.labels("read_only").inc()
        raise unavailable(url, error) from error
    # Who may not do this is told so, in the same words wherever it is found out.
    except NoPermissionError as error:
        metrics.REDIS_FAILURES.labels("not_allowed").inc()
        raise unavailable(url, error) from error
    except OutOfMemoryError as error:
        raise _refused(url, "out_of_memory", error) from error
    except ResponseError as error:
        if "MISCONF" not in str(error):  # a pipeline puts words of its own before it
            raise
        raise _refused(url, "cannot_save", error) from error


def _refused(url: str, reason: str, error: ResponseError) -> StoreUnavailableError:
    """It answers, and takes no writes until somebody helps it: docs/runbooks/redis-refuses.md."""
    metrics.REDIS_FAILURES.labels(reason).inc()
    helped = {
        "out_of_memory": "Raise maxmemory, or give it a machine with more.",
        "cannot_save": "Free its disk, or set stop-writes-on-bgsave-error no.",
    }
    where = url.rsplit("@", 1)[-1]
    return StoreUnavailableError(f"Redis at {where} takes no writes ({error}). {helped[reason]}")


class ClusterReads:
    """As `SharedReads`, by one of them for each primary that holds a key.

    A node that does not answer takes its own keys with it, and nobody else's. The map of slots is
    looked at when a key is said to lie elsewhere, and when a node is away: a replica may have taken
    over.
    """

    def __init__(self, url: str) -> None:
        """`url`: of a node of the cluster."""
        self._url = node_url(url)
        self._slots = SlotMap()
        self._nodes: dict[str, SharedReads] = {}
        self._looking: asyncio.Task[SlotMap] | None = None

    async def ask(self, *command: Word) -> Any:
        """The answer to a command on one key that changes nothing.

        Raises:
            StoreUnavailableError: no connection, or no answer in time.
            hiredis.ReplyError: the server refused the command.
        """
        key = command[1] if isinstance(command[1], bytes) else str(command[1]).encode()
        if not self._slots.nodes:
            await self._look()
        for _ in range(_MOVES):
            node = self._slots.node_of(key)
            if not node:
                break
            try:
                return await self._reads(node).ask(*command)
            except StoreUnavailableError:
                await self._look(but=node)
                if self._slots.node_of(key) == node:
                    raise
            except hiredis.ReplyError as error:
                how, *where = str(error).split(" ")
                if how == "ASK":  # its slot is on the way to another node, and it is there already
                    asked = self._reads(beside(node, where[1]))
                    return (await asked.ask_all((("ASKING",), command)))[1]
                if how != "MOVED":
                    raise
                await self._look()
        raise unavailable(self._url, ConnectionError("No node has the key."))

    def tell(self, heard: Heard, *command: Word) -> bool:
        """As `SharedReads.tell`, of the node that is thought to have the key."""
        key = command[1] if isinstance(command[1], bytes) else str(command[1]).encode()
        node = self._slots.node_of(key) if self._slots.nodes else ""
        return bool(node) and self._reads(node).tell(heard, *command)

    async def ask_all(self, commands: Sequence[tuple[Word, ...]]) -> list[Any]:
        """The answers to several; what goes to one node goes out together. See `ask`."""
        return list(await asyncio.gather(*(self.ask(*command) for command in commands)))

    def close(self) -> None:
        """Hang up."""
        for reads in self._nodes.values():
            reads.close()

    def _reads(self, node: str) -> SharedReads:
        if node not in self._nodes:
            self._nodes[node] = SharedReads(node)
        return self._nodes[node]

    async def _look(self, but: str = "") -> None:
        """One look for all who wait; at the node `but` last."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._asked_slots(but))
            self._looking.add_done_callback(self._looked)
        await asyncio.shield(self._looking)

    async def _asked_slots(self, but: str) -> SlotMap:
        why = unavailable(self._url, ConnectionError("No node answers."))
        nodes = self._slots.nodes | {self._url}
        for node in sorted(nodes, key=lambda each: (each == but, each)):
            try:
                return slots_of(await self._reads(node).ask(*ASK_SLOTS), node)
            except StoreUnavailableError as error:
                why = error
        raise why

    def _looked(self, looking: "asyncio.Task[SlotMap]") -> None:
        self._looking = None
        if not looking.cancelled() and looking.exception() is None:
            self._slots = looking.result()


def _open_cluster(url: str, timeout_s: float, retry: Retry) -> Any:
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "cluster"]
    return redis.RedisCluster.from_url(
        urlunsplit(parts._replace(query=urlencode(query))),
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=retry,
    )
