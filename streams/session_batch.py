"""What a batch of records does to the sessions: pure, the same for every transport."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from endcap.erasure import Registry
from endcap.errors import ConsentDeniedError, InvalidEventError
from endcap.events import EventType
from endcap.identity import Identification
from endcap.sessions import act_of
from endcap.streams import native
from endcap.streams.batch_erasures import BatchErasures
from endcap.streams.batch_parcels import BatchParcels
from endcap.streams.batch_timelines import BatchTimelines
from endcap.streams.folded_batch import (
    DeadLetter,
    FoldedBatch,
    Partition,
    Record,
    arrival_of,
    event_of,
    late,
)
from endcap.streams.item_deltas import COUNTED, ItemDelta, encode_deltas
from endcap.timeline import DEFAULT_LATENESS_MS, Outcome, Snapshot, encode_snapshot

_FOLDED = Outcome.FOLDED  # an enum's attribute is a call; this is asked for each event
_HANDED_OVER = Outcome.HANDED_OVER
_DUPLICATE = Outcome.DUPLICATE
_IDENTIFY = EventType.IDENTIFY


class BatchFold:
    """One partition's records, folded in this order: erasures, parcels, events.

    `look_up` answers with the snapshot that the batches before this one left of a shopper.
    `natively`: what is plain goes through `plain_events`, with the same result.
    """

    def __init__(
        self,
        partition: Partition,
        look_up: Callable[[str], bytes | None],
        now_ms: int,
        lateness_ms: int = DEFAULT_LATENESS_MS,
        registry: Registry | None = None,
        natively: bool = native.IS_BUILT,
    ) -> None:
        self._partition = partition
        self._look_up = look_up
        self._now_ms = now_ms
        self._lateness_ms = lateness_ms
        self._registry = registry or Registry()
        self._erasures = BatchErasures(partition, look_up, now_ms, self._registry)
        self._timelines = BatchTimelines(self._erasures)
        self._parcels = BatchParcels(partition, self._timelines, self._erasures, lateness_ms)
        self._deltas: list[ItemDelta] = []
        self._dead_letters: list[DeadLetter] = []
        self._outcomes: Counter[str] = Counter()
        self._kinds: Counter[int] = Counter()
        self._misplaced: bool | None = None
        self._expired: set[str] = set()
        self._natively = natively
        self._plain: native.PlainFold | None = None

    def erase(self, records: Sequence[Record]) -> None:
        """Forget who asked for it; their devices are asked for in turn."""
        self._dead_letters += self._erasures.take(records)

    def open(self, records: Iterable[Record]) -> None:
        """Take in what other partitions sent."""
        self._dead_letters += self._parcels.take(records)

    def fold(self, records: Sequence[Record]) -> None:
        """Fold events, in the order of their offsets. Called once."""
        self._fold(self._all_but_plain(records) if self._natively else records)

    def expire(self, idle: Iterable[str]) -> None:
        """End the sessions of shoppers who were not seen for long, nor in this batch."""
        opened, met = self._timelines.open, self._plain.users if self._plain else {}
        self._expired = {user for user in idle if user not in opened and user not in met}

    def result(self) -> FoldedBatch:
        """All of it. Nothing can be folded afterwards."""
        number, timelines, newest_ms = self._partition.number, self._timelines, 0
        parcels = list(self._parcels.to_send)
        snapshots: dict[str, bytes | None] = dict.fromkeys(self._erasures.gone | self._expired)
        for user_id, (offset, arrived_ms) in timelines.touched.items():
            opened = timelines.open[user_id]
            timeline = opened.close(self._lateness_ms)
            snapshots[user_id] = encode_snapshot(Snapshot(timeline, number, offset, arrived_ms))
            newest_ms = max(newest_ms, timeline.newest_ms)
            parcels += opened.handovers(arrived_ms)
        placed = sum([timeline.placed for timeline in timelines.open.values()])
        self._outcomes["folded"] = placed - self._parcels.identified
        plain = self._plain
        if plain:
            snapshots |= plain.snapshots
            newest_ms = max(newest_ms, plain.newest_ms)
            self._outcomes.update(folded=plain.folded, duplicate=plain.duplicates)
            self._kinds.update(plain.kinds)
        return FoldedBatch(
            snapshots,
            plain.deltas(self._deltas) if plain else list(encode_deltas(self._deltas)),
            self._dead_letters,
            self._outcomes,
            parcels,
            self._parcels.opened,
            self._erasures.records,
            self._erasures.entries,
            len(self._expired),
            bool(self._misplaced),
            newest_ms,
            plain.folded + plain.duplicates if plain else 0,
            self._kinds,
        )

    def _all_but_plain(self, records: Sequence[Record]) -> Sequence[Record]:
        self._plain = native.PlainFold(
            records, self._partition.number, self._now_ms, self._lateness_ms
        )
        if self._plain.first_user_id is not None:
            self._misplaced = self._is_misplaced(self._plain.first_user_id)
        known = {*self._timelines.open, *self._erasures.gone, *self._erasures.until_ms}
        return self._plain.fold(known, self._registry, self._look_up)

    def _fold(self, records: Iterable[Record]) -> None:
        open_of, done_of = self._timelines.open, self._timelines.done
        touched, until_of = self._timelines.touched, self._erasures.until_ms
        deltas, now_ms, lateness_ms = self._deltas, self._now_ms, self._lateness_ms
        partition = self._partition.number
        duplicate = already_folded = erased = letters = denied = 0
        kinds: list[int] = []
        checked = self._misplaced is not None
        for record in records:
            offset, arrived_ms = record.offset, arrival_of(record, now_ms)
            try:
                event = event_of(record, arrived_ms)
            except ConsentDeniedError:
                denied += 1
                continue
            except InvalidEventError as error:
                if self._erasures.is_keyed_by_erased(record):
                    erased += 1
                    continue
                self._dead_letters.append(DeadLetter(record, error))
                letters += 1
                continue
            user_id = event.user_id
            if event.anonymous_id is not None and event.event_name is _IDENTIFY:
                device = event.anonymous_id
                if device != user_id:
                    told = Identification(act_of(event), device, user_id, arrived_ms)
                    self._identify(told, record)
                    continue
            if not checked:
                self._misplaced = self._is_misplaced(user_id)
                checked = True
            timeline = open_of.get(user_id)
            if timeline is None:
                timeline = self._timelines.of(user_id, offset)
            if done_of and offset <= done_of.get(user_id, -1):
                already_folded += 1
                continue
            if until_of and event.timestamp_ms <= until_of.get(user_id, -1):
                erased += 1
                continue
            act = act_of(event)
            outcome = timeline.place(act, arrived_ms, lateness_ms)
            if outcome is _FOLDED or outcome is _HANDED_OVER:
                touched[user_id] = offset, arrived_ms
                kinds.append(act.type_code)
                kind = COUNTED.get(act.type_code)
                if kind is not None:
                    deltas.append(
                        ItemDelta(
                            partition,
                            offset,
                            kind,
                            act.timestamp_ms,
                            act.item_ids,
                            event.store_id or "",
                        )
                    )
            elif outcome is _DUPLICATE:
                duplicate += 1
            else:
                self._dead_letters.append(DeadLetter(record, late(lateness_ms)))
                letters += 1
        self._kinds.update(kinds)
        self._outcomes.update(
            duplicate=duplicate, already_folded=already_folded, erased=erased, dead_letter=letters
        )
        if denied:
            self._outcomes["consent_denied"] += denied

    def _identify(self, told: Identification, record: Record) -> None:
        outcome = self._parcels.identify(told, record.offset)
        if outcome == "dead_letter":
            self._dead_letters.append(DeadLetter(record, late(self._lateness_ms)))
        elif outcome == "folded":
            self._kinds[_IDENTIFY.code] += 1
        self._outcomes[outcome] += 1  # "folded" is replaced by the sum of what was placed

    def _is_misplaced(self, user_id: str) -> bool:
        return self._partition.of(user_id) != self._partition.number


def fold_batch(
    records: Sequence[Record],
    partition: Partition,
    look_up: Callable[[str], bytes | None],
    now_ms: int,
    lateness_ms: int = DEFAULT_LATENESS_MS,
    natively: bool = native.IS_BUILT,
) -> FoldedBatch:
    """Fold events alone."""
    batch = BatchFold(partition, look_up, now_ms, lateness_ms, natively=natively)
    batch.fold(records)
    return batch.result()
