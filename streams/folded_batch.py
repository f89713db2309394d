"""What goes into the fold of a batch, and what comes out of it."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from aiokafka.partitioner import murmur2

from endcap.cloud_events import with_cloud_event_id
from endcap.erasure import Erased
from endcap.errors import InvalidEventError
from endcap.events import Event, parse_event
from endcap.identity import Parcel

_APPEND_TIME = 1


class Record(Protocol):
    """What is needed of a consumed record; aiokafka's `ConsumerRecord` has it."""

    @property
    def key(self) -> bytes | None:
        """The id that decided its partition."""

    @property
    def value(self) -> bytes | None:
        """The event as sent."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int:
        """Unix milliseconds, by the broker's clock or the producer's (`timestamp_type`)."""

    @property
    def timestamp_type(self) -> int:
        """1: the broker's clock (LogAppendTime)."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Those of CloudEvents name the event's id."""


class Partition(NamedTuple):
    """A partition of the events, and of how many. An id's is that of Kafka's own partitioner."""

    number: int
    of_count: int = 1

    def of(self, user_id: str) -> int:
        """Where the records of this id go."""
        return int((murmur2(user_id.encode()) & 0x7FFFFFFF) % self.of_count)


class DeadLetter(NamedTuple):
    """A record that cannot be folded, and why."""

    record: Record
    error: InvalidEventError


class FoldedBatch(NamedTuple):
    """What a batch changes, as it is written. Nothing of it holds until it is.

    `snapshots`: None erases one; `newest_ms` is the newest event time in them. `deltas` are
    records. `native`: how many events took the compiled path. `outcomes` accounts for every event:
    folded, duplicate, already_folded, forwarded, erased, consent_denied, dead_letter; `opened` does
    for every parcel. `kinds`: events that were taken in, by the code of their type. `erasures` are
    records of their topic with the partition of each; a value of None ends a key. `expired`: how
    many sessions ended because their shopper was not seen for long. `misplaced`: the batch's first
    event is not where its user id belongs.
    """

    snapshots: dict[str, bytes | None]
    deltas: list[bytes]
    dead_letters: list[DeadLetter]
    outcomes: Counter[str]
    parcels: list[Parcel]
    opened: Counter[str]
    erasures: list[tuple[int, bytes, bytes | None]]
    erased: list[Erased]
    expired: int
    misplaced: bool
    newest_ms: int
    native: int
    kinds: Counter[int]


def merged(batches: Sequence[FoldedBatch]) -> FoldedBatch:
    """Batches folded one on top of the other, as the one batch that writes them."""
    if len(batches) == 1:
        return batches[0]
    snapshots: dict[str, bytes | None] = {}
    outcomes: Counter[str] = Counter()
    opened: Counter[str] = Counter()
    kinds: Counter[int] = Counter()
    for batch in batches:
        snapshots |= batch.snapshots
        outcomes += batch.outcomes
        opened += batch.opened
        kinds += batch.kinds
    return FoldedBatch(
        snapshots,
        [delta for batch in batches for delta in batch.deltas],
        [letter for batch in batches for letter in batch.dead_letters],
        outcomes,
        [parcel for batch in batches for parcel in batch.parcels],
        opened,
        [record for batch in batches for record in batch.erasures],
        [entry for batch in batches for entry in batch.erased],
        sum(batch.expired for batch in batches),
        any(batch.misplaced for batch in batches),
        max(batch.newest_ms for batch in batches),
        sum(batch.native for batch in batches),
        kinds,
    )


def is_repeatable(batch: FoldedBatch, events: Sequence[Record], now_ms: int) -> bool:
    """Whether who folds these events again comes to the same snapshots, whatever comes between.

    So it is where nothing but events went in, with times of the broker, and no session ended.
    """
    if batch.parcels or batch.opened or batch.erasures or batch.erased:
        return False
    if None in batch.snapshots.values():
        return False
    return not any(
        record.timestamp_type != _APPEND_TIME and record.timestamp > now_ms for record in events
    )


def arrival_of(record: Record, now_ms: int) -> int:
    """When it arrived. A producer's clock may run ahead; the broker's is the same for all."""
    if record.timestamp > now_ms and record.timestamp_type != _APPEND_TIME:
        return now_ms
    return record.timestamp


def event_of(record: Record, arrived_ms: int) -> Event:
    """The event, under its CloudEvent's id where the headers name one.

    Raises:
        InvalidEventError: it is not valid, or its headers are not a CloudEvent's.
    """
    event = parse_event(record.value, arrived_ms)
    return with_cloud_event_id(event, record.headers) if record.headers else event


def late(lateness_ms: int) -> InvalidEventError:
    """Why an event is refused that came after more than the lateness."""
    return InvalidEventError(
        "late",
        f"timestamp_ms lies more than {lateness_ms // 1000} s behind the shopper's newest "
        "event. Raise ENDCAP_LATENESS_S, or send it sooner.",
    )
