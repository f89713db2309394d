"""A compacted topic kept in memory for reading: the newest value of each key."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from aiokafka.errors import KafkaError

from endcap.catalogue import CatalogueItem, decode_item, is_older
from endcap.errors import BrokerUnavailableError
from endcap.sessions import Session
from endcap.streams.clients import started_consumer
from endcap.timeline import decode_snapshot
from endcap.topics import Topics

log = logging.getLogger(__name__)
T = TypeVar("T")
_RETRY_S = 1.0


class TopicView(Generic[T]):
    """Follows a compacted topic from its beginning.

    Values are decoded when they are asked for: most sessions that pass are never looked at. One
    whose `version_of` is not above that of its key's newest changes nothing.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        decode: Callable[[bytes], T],
        version_of: Callable[[bytes], int | None] = lambda _: None,
    ) -> None:
        self._bootstrap = bootstrap_servers
        self._topic = topic
        self._decode = decode
        self._version_of = version_of
        self._versions: dict[str, int] = {}
        """Of deleted values too: a deletion has none, and an older value must not undo it."""
        self._raw: dict[str, bytes] = {}
        self._decoded: dict[str, tuple[bytes, T]] = {}
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read what the topic holds now, then follow in the background.

        Raises:
            BrokerUnavailableError: no broker answers.
        """
        consumer = await started_consumer(self._bootstrap, self._topic)
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            self._keep(await consumer.getmany(timeout_ms=200))
        self._following = asyncio.create_task(self._follow(consumer))

    def get(self, key: str) -> T | None:
        """The newest value read so far; None where there is none, or it was deleted.

        May be called from any thread: a value is kept beside the bytes that it was decoded from.
        """
        raw = self._raw.get(key)
        if raw is None:
            return None
        decoded = self._decoded.get(key)
        if decoded is None or decoded[0] is not raw:
            decoded = self._decoded[key] = (raw, self._decode(raw))
        return decoded[1]

    def __len__(self) -> int:
        return len(self._raw)

    async def stop(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following

    async def _follow(self, consumer: Any) -> None:
        while True:
            try:
                while True:
                    self._keep(await consumer.getmany(timeout_ms=1000))
            except KafkaError:
                log.exception("following %s failed; it is read anew", self._topic)
            finally:
                await consumer.stop()
            consumer = await self._reopened()

    async def _reopened(self) -> Any:
        while True:
            await asyncio.sleep(_RETRY_S)
            try:
                return await started_consumer(self._bootstrap, self._topic)
            except BrokerUnavailableError as error:
                log.warning("%s", error)

    def _keep(self, batches: dict[Any, list[Any]]) -> None:
        for records in batches.values():
            for record in records:
                key = record.key.decode()
                if record.value is None:
                    self._raw.pop(key, None)
                    self._decoded.pop(key, None)
                    continue
                try:
                    version = self._version_of(record.value)
                except msgspec.MsgspecError as error:
                    log.warning("skipped a malformed value of %s: %s", self._topic, error)
                    continue
                if is_older(version, self._versions.get(key)):
                    continue
                if version is not None:
                    self._versions[key] = version
                self._raw[key] = record.value


class SessionView:
    """Every shopper's newest session. Implements the HTTP server's session reader."""

    def __init__(self, bootstrap_servers: str, topics: Topics) -> None:
        self._view = TopicView(bootstrap_servers, topics.sessions.name, decode_snapshot)
        self.start = self._view.start
        self.stop = self._view.stop

    async def session(self, user_id: str) -> Session | None:
        """The newest session read so far."""
        snapshot = self._view.get(user_id)
        return None if snapshot is None else snapshot.session


def catalogue_view(bootstrap_servers: str, topics: Topics) -> TopicView[CatalogueItem]:
    """The catalogue as the shop last published it, by item id: of each the highest version."""
    return TopicView(
        bootstrap_servers,
        topics.catalogue.name,
        decode_item,
        version_of=lambda raw: decode_item(raw).version,
    )
