"""Records that could not be folded: as they came, with the reason, and with a way back."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from endcap.errors import InvalidEventError
from endcap.streams.clients import (
    read_whole,
    started_transactional_producer,
    stop_producer,
    transaction,
)
from endcap.streams.record_batches import KafkaRecord
from endcap.topics import Topics

PREFIX = "__streams.errors."
"""Header names after KIP-1034 (https://cwiki.apache.org/confluence/display/KAFKA/KIP-1034)."""
REPLAYED = "endcap.replayed"
"""A record with this header names a letter (`partition:offset`) that went back."""
CUT = "endcap.cut-from-bytes"
LARGEST_VALUE = 900_000
_REPLAY_BATCH = 500

_OWN_KEY = PREFIX + "key"
"""The key that the record came with."""


class Letter(NamedTuple):
    """A dead letter; `source_offset` is where it stood in `source_topic`."""

    partition: int
    offset: int
    at_ms: int
    reason: str
    message: str
    source_topic: str
    source_partition: int
    source_offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    replayed: bool

    @property
    def name(self) -> str:
        """`partition:offset`, by which a person asks for it."""
        return f"{self.partition}:{self.offset}"

    @property
    def is_whole(self) -> bool:
        """False where the value was too large for a record and was cut."""
        return all(name != CUT for name, _ in self.headers)


class Wanted(NamedTuple):
    """Which letters are meant; what is None does not matter."""

    reason: str | None = None
    source_topic: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    names: frozenset[str] = frozenset()

    def takes(self, letter: Letter) -> bool:
        """Whether the letter is among them."""
        return (
            (self.reason is None or letter.reason == self.reason)
            and (self.source_topic is None or letter.source_topic == self.source_topic)
            and (self.since is None or letter.at_ms >= self.since.timestamp() * 1000)
            and (self.until is None or letter.at_ms < self.until.timestamp() * 1000)
            and (not self.names or letter.name in self.names)
        )


def letter_record(record: Any, error: InvalidEventError) -> KafkaRecord:
    """What is written of a consumed record that was refused.

    A value that would not fit a record beside its reason is cut; its whole is in the source topic.
    The letter's key is its source, so that a letter can be erased from the compacted topic.
    """
    said = {
        "exception": error.reason,
        "message": str(error),
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
    }
    headers = [*record.headers, *((PREFIX + name, v.encode()) for name, v in said.items())]
    if record.key is not None:
        headers.append((_OWN_KEY, record.key))
    value = record.value
    if value is not None and len(value) > LARGEST_VALUE:
        headers.append((CUT, str(len(value)).encode()))
        value = value[:LARGEST_VALUE]
    return f"{record.topic}:{record.partition}:{record.offset}".encode(), value, headers


async def read_letters(bootstrap_servers: str, topics: Topics) -> list[Letter]:
    """All letters in the topic, oldest first; those that went back are marked.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    return await letters_of(bootstrap_servers, topics, lambda _record: True)


async def letters_of(
    bootstrap_servers: str, topics: Topics, is_wanted: Callable[[Any], bool]
) -> list[Letter]:
    """The letters whose record is wanted, oldest first; those that were erased are not there.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    letters: dict[bytes, Letter] = {}
    replayed: set[str] = set()
    async for record in read_whole(bootstrap_servers, topics.dead_letters.name):
        headers = dict(record.headers)
        if REPLAYED in headers:
            replayed.add(headers[REPLAYED].decode())
        elif is_tombstone(record):
            letters.pop(record.key, None)
        elif is_wanted(record):
            letters[record.key] = _letter(record, headers)
    ordered = sorted(letters.values(), key=lambda each: (each.at_ms, each.partition, each.offset))
    return [letter._replace(replayed=letter.name in replayed) for letter in ordered]


def is_tombstone(record: Any) -> bool:
    """Whether a letter ends here; one about a record without a value is a letter all the same."""
    return record.value is None and PREFIX + "exception" not in dict(record.headers)


def source_key(record: Any) -> bytes | None:
    """The key that a letter's record came with; of any other record its own."""
    headers = dict(record.headers)
    key: bytes | None = headers.get(_OWN_KEY)
    return key if PREFIX + "topic" in headers else record.key


async def replay_letters(
    bootstrap_servers: str, topics: Topics, letters: Sequence[Letter], to_topic: str | None = None
) -> int:
    """Send letters back to the topics they came from, each once, and mark them as replayed.

    The record and its mark are one transaction: what is interrupted goes on where it stopped. A
    record goes to the partition of its key, with its own headers and without the reason.

    Raises:
        BrokerUnavailableError: no broker answers.
        InvalidEventError: a letter's value was cut, or it came from no topic but from a file.
    """
    for letter in letters:
        if not letter.is_whole:
            raise InvalidEventError(
                "cut",
                f"Letter {letter.name} holds only the start of its value. Read the record itself: "
                f"{letter.source_topic}, partition {letter.source_partition}, offset "
                f"{letter.source_offset}.",
            )
    producer = await started_transactional_producer(
        bootstrap_servers, f"{topics.dead_letters.name}-replay"
    )
    try:
        known = (await producer.client.fetch_all_metadata()).topics()
        for letter in letters:
            if (to_topic or letter.source_topic) not in known:
                raise InvalidEventError(
                    "no_topic",
                    f"Letter {letter.name} came from {letter.source_topic}, which is no topic. "
                    "Mend the file and replay it: rows that were sent before change nothing.",
                )
        for first in range(0, len(letters), _REPLAY_BATCH):
            async with transaction(producer):
                for letter in letters[first : first + _REPLAY_BATCH]:
                    await producer.send(
                        to_topic or letter.source_topic,
                        letter.value,
                        letter.key,
                        headers=_own_headers(letter.headers),
                    )
                    await producer.send(
                        topics.dead_letters.name,
                        b"",
                        f"{REPLAYED}:{letter.name}".encode(),
                        partition=letter.partition,
                        headers=[(REPLAYED, letter.name.encode())],
                    )
    finally:
        await stop_producer(producer)
    return len(letters)


def _own_headers(headers: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [(name, value) for name, value in headers if not name.startswith(PREFIX)]


def _letter(record: Any, headers: dict[str, bytes]) -> Letter:
    def said(name: str, otherwise: str = "") -> str:
        return headers.get(PREFIX + name, otherwise.encode()).decode(errors="replace")

    return Letter(
        record.partition,
        record.offset,
        record.timestamp,
        said("exception", "unknown"),
        said("message"),
        said("topic"),
        int(said("partition", "-1")),
        int(said("offset", "-1")),
        headers.get(_OWN_KEY),
        record.value,
        tuple(record.headers),
        replayed=False,
    )
