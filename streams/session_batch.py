"""What a batch of records does to the sessions: a pure function, the same for every transport."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from endcap.errors import InvalidEventError
from endcap.events import parse_event
from endcap.sessions import Session, act_of
from endcap.streams.item_deltas import ItemDelta, item_delta
from endcap.timeline import DEFAULT_LATENESS_MS, Outcome, Snapshot, Timeline, decode_snapshot, place

_APPEND_TIME = 1


class Record(Protocol):
    """What is needed of a consumed record; aiokafka's `ConsumerRecord` has it."""

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


class Held(NamedTuple):
    """A shopper in memory: what was last written, and its session, already folded."""

    snapshot: Snapshot
    session: Session


class DeadLetter(NamedTuple):
    """A record that cannot be folded, and why."""

    record: Record
    error: InvalidEventError


class FoldedBatch(NamedTuple):
    """What a batch changes. Nothing of it holds until it is written.

    `outcomes` accounts for every record: folded, duplicate, already_folded, dead_letter.
    """

    held: dict[str, Held]
    deltas: list[ItemDelta]
    dead_letters: list[DeadLetter]
    outcomes: Counter[str]


def held_of(raw: bytes) -> Held:
    """A snapshot as read back.

    Raises:
        msgspec.ValidationError: the bytes are not a snapshot of ours.
    """
    snapshot = decode_snapshot(raw)
    return Held(snapshot, snapshot.session)


def fold_batch(
    records: Iterable[Record],
    partition: int,
    look_up: Callable[[str], Held | None],
    now_ms: int,
    lateness_ms: int = DEFAULT_LATENESS_MS,
) -> FoldedBatch:
    """Fold one partition's records, in the order of their offsets.

    `look_up` answers with what the batches before this one left of a shopper.
    """
    held: dict[str, Held] = {}
    deltas: list[ItemDelta] = []
    dead_letters: list[DeadLetter] = []
    folded = duplicate = already_folded = 0
    for record in records:
        offset = record.offset
        # A producer's clock may run ahead; the broker's is the same for all.
        arrived_ms = record.timestamp
        if record.timestamp_type != _APPEND_TIME and arrived_ms > now_ms:
            arrived_ms = now_ms
        try:
            event = parse_event(record.value, arrived_ms)
        except InvalidEventError as error:
            dead_letters.append(DeadLetter(record, error))
            continue
        user_id = event.user_id
        past = held.get(user_id) or look_up(user_id)
        if past is None:
            before = Session(user_id)
            timeline, session = Timeline(before), before
        elif offset <= past.snapshot.source_offset:
            already_folded += 1
            continue
        else:
            timeline, session = past.snapshot.timeline, past.session
        timeline, session, outcome = place(
            timeline, session, act_of(event), arrived_ms, lateness_ms
        )
        if outcome is Outcome.FOLDED:
            folded += 1
            held[user_id] = Held(Snapshot(timeline, partition, offset, arrived_ms), session)
            delta = item_delta(event, partition, offset)
            if delta is not None:
                deltas.append(delta)
        elif outcome is Outcome.DUPLICATE:
            duplicate += 1
        else:
            late = InvalidEventError(
                "late",
                f"timestamp_ms lies more than {lateness_ms // 1000} s behind the shopper's newest "
                "event. Raise ENDCAP_LATENESS_S, or send it sooner.",
            )
            dead_letters.append(DeadLetter(record, late))
    outcomes = Counter(
        folded=folded,
        duplicate=duplicate,
        already_folded=already_folded,
        dead_letter=len(dead_letters),
    )
    return FoldedBatch(held, deltas, dead_letters, outcomes)
