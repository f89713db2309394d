"""A compacted topic kept in memory for reading: the newest value of each key."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from aiokafka import TopicPartition

from endcap.catalogue import CatalogueItem, decode_item
from endcap.streams.topic_follower import TopicFollower
from endcap.topics import Topics

T = TypeVar("T")


class TopicView(TopicFollower, Generic[T]):
    """Follows a compacted topic from its beginning.

    Values are decoded when they are asked for: most sessions that pass are never looked at.
    """

    def __init__(self, bootstrap_servers: str, topic: str, decode: Callable[[bytes], T]) -> None:
        super().__init__(bootstrap_servers, topic)
        self._decode = decode
        self._raw: dict[str, bytes] = {}
        self._decoded: dict[str, tuple[bytes, T]] = {}

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
        for records in batches.values():
            for record in records:
                key = record.key.decode()
                if record.value is None:
                    self._raw.pop(key, None)
                    self._decoded.pop(key, None)
                else:
                    self._raw[key] = record.value


def catalogue_view(bootstrap_servers: str, topics: Topics) -> TopicView[CatalogueItem]:
    """The catalogue as the shop last published it, by item id."""
    return TopicView(bootstrap_servers, topics.catalogue.name, decode_item)
