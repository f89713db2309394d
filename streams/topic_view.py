"""A compacted topic kept in memory for reading: the newest value of each key."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from aiokafka import TopicPartition

from endcap.catalogue import CatalogueItem, decode_item, is_older
from endcap.decoding import name_in
from endcap.streams.topic_follower import TopicFollower
from endcap.topics import Topics

log = logging.getLogger(__name__)
T = TypeVar("T")


class TopicView(TopicFollower, Generic[T]):
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
        super().__init__(bootstrap_servers, topic)
        self._decode = decode
        self._version_of = version_of
        self._versions: dict[str, int] = {}
        """Of deleted values too: a deletion has none, and an older value must not undo it."""
        self._raw: dict[str, bytes] = {}
        self._decoded: dict[str, tuple[bytes, T]] = {}
        self._changes = 0

    @property
    def changes(self) -> int:
        """Rises with every batch that was read: what was made of `values` may be old."""
        return self._changes

    def values(self) -> list[T]:
        """All of them, in the order in which their keys were first read. From any thread."""
        return [self._decode(raw) for raw in list(self._raw.values())]

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

    def _keep(self, batches: Mapping[TopicPartition, Sequence[Any]]) -> None:
        if batches:
            self._changes += 1
        for records in batches.values():
            for record in records:
                key = name_in(record.key)
                if key is None:
                    log.warning("skipped a record of %s: its key is no UTF-8", self._topic)
                    continue
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


def catalogue_view(bootstrap_servers: str, topics: Topics) -> TopicView[CatalogueItem]:
    """The catalogue as the shop last published it, by item id: of each the highest version."""
    return TopicView(
        bootstrap_servers,
        topics.catalogue.name,
        decode_item,
        version_of=lambda raw: decode_item(raw).version,
    )
