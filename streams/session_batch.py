"""What a batch of records does to the sessions: a pure function, the same for every transport."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from endcap.errors import InvalidEventError
from endcap.events import parse_event
from endcap.sessions import Session, act_of
from endcap.streams.item_deltas import COUNTED, ItemDelta
from endcap.timeline import DEFAULT_LATENESS_MS, OpenTimeline, Outcome, Snapshot, Timeline

_APPEND_TIME = 1
_FOLDED = Outcome.FOLDED  # an enum's attribute is a call; this is asked for each event


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


class DeadLetter(NamedTuple):
    """A record that cannot be folded, and why."""

    record: Record
    error: InvalidEventError


class FoldedBatch(NamedTuple):
    """What a batch changes. Nothing of it holds until it is written.

    `outcomes` accounts for every record: folded, duplicate, already_folded, dead_letter.
    """

    snapshots: dict[str, Snapshot]
    deltas: list[ItemDelta]
    dead_letters: list[DeadLetter]
    outcomes: Counter[str]


def fold_batch(
    records: Iterable[Record],
    partition: int,
    look_up: Callable[[str], Snapshot | None],
    now_ms: int,
    lateness_ms: int = DEFAULT_LATENESS_MS,
) -> FoldedBatch:
    """Fold one partition's records, in the order of their offsets.

    `look_up` answers with what the batches before this one left of a shopper.
    """
    open_of: dict[str, OpenTimeline] = {}
    last_of: dict[str, tuple[int, int]] = {}
    done_of: dict[str, int] = {}
    deltas: list[ItemDelta] = []
    dead_letters: list[DeadLetter] = []
    duplicate = already_folded = 0
    for record in records:
        offset, arrived_ms = record.offset, record.timestamp
        # A producer's clock may run ahead; the broker's is the same for all.
        if arrived_ms > now_ms and record.timestamp_type != _APPEND_TIME:
            arrived_ms = now_ms
        try:
            event = parse_event(record.value, arrived_ms)
        except InvalidEventError as error:
            dead_letters.append(DeadLetter(record, error))
            continue
        user_id = event.user_id
        timeline = open_of.get(user_id)
        if timeline is None:
            past = look_up(user_id)
            if past is None:
                timeline = OpenTimeline(Timeline(Session(user_id)))
            else:
                timeline = OpenTimeline(past.timeline)
                if past.source_offset >= offset:
                    done_of[user_id] = past.source_offset
            open_of[user_id] = timeline
        if done_of and offset <= done_of.get(user_id, -1):
            already_folded += 1
            continue
        act = act_of(event)
        outcome = timeline.place(act, arrived_ms, lateness_ms)
        if outcome is _FOLDED:
            last_of[user_id] = offset, arrived_ms
            kind = COUNTED.get(act.type_code)
            if kind is not None:
                deltas.append(ItemDelta(partition, offset, kind, act.timestamp_ms, act.item_ids))
        elif outcome is Outcome.DUPLICATE:
            duplicate += 1
        else:
            dead_letters.append(DeadLetter(record, _late(lateness_ms)))
    snapshots = {
        user_id: Snapshot(open_of[user_id].close(lateness_ms), partition, *last)
        for user_id, last in last_of.items()
    }
    folded = sum([timeline.placed for timeline in open_of.values()])
    outcomes = Counter(
        folded=folded,
        duplicate=duplicate,
        already_folded=already_folded,
        dead_letter=len(dead_letters),
    )
    return FoldedBatch(snapshots, deltas, dead_letters, outcomes)


def _late(lateness_ms: int) -> InvalidEventError:
    return InvalidEventError(
        "late",
        f"timestamp_ms lies more than {lateness_ms // 1000} s behind the shopper's newest "
        "event. Raise ENDCAP_LATENESS_S, or send it sooner.",
    )
