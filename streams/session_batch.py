"""What a batch of records does to the sessions: pure, the same for every transport."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from endcap.erasure import (
    Erased,
    Receipt,
    Registry,
    Request,
    Sweep,
    decode_erasure,
    encode_erasure,
    erasure_key,
)
from endcap.errors import InvalidEventError
from endcap.events import EventType
from endcap.identity import Handover, Identification, Parcel, decode_parcel
from endcap.sessions import Session, act_of
from endcap.streams import native
from endcap.streams.folded_batch import (
    DeadLetter,
    FoldedBatch,
    Partition,
    Record,
    arrival_of,
    event_of,
)
from endcap.streams.item_deltas import COUNTED, ItemDelta, encode_deltas
from endcap.timeline import (
    DEFAULT_LATENESS_MS,
    OpenTimeline,
    Outcome,
    Snapshot,
    Timeline,
    decode_snapshot,
    encode_snapshot,
)

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
        self._open: dict[str, OpenTimeline] = {}
        self._touched: dict[str, tuple[int, int]] = {}
        """By user id: the offset of the last event folded, and when it arrived."""
        self._done: dict[str, int] = {}
        self._until_ms: dict[str, int] = {}
        """Up to which event time somebody is erased."""
        self._gone: set[str] = set()
        self._deltas: list[ItemDelta] = []
        self._dead_letters: list[DeadLetter] = []
        self._outcomes: Counter[str] = Counter()
        self._parcels: list[Parcel] = []
        self._opened: Counter[str] = Counter()
        self._identified_by_parcel = 0
        self._erasures: list[tuple[int, bytes, bytes | None]] = []
        self._erased: list[Erased] = []
        self._misplaced: bool | None = None
        self._expired = 0
        self._natively = natively
        self._plain: native.PlainFold | None = None

    def erase(self, records: Sequence[Record]) -> None:
        """Forget who asked for it; their devices are asked for in turn."""
        ended_at = {record.key: record.offset for record in records if record.value is None}
        for record in records:
            if record.value is None:
                continue
            try:
                request = decode_erasure(record.value)
            except msgspec.MsgspecError as error:
                self._dead_letters.append(DeadLetter(record, _no_request(error)))
                continue
            if isinstance(request, Request):
                is_answered = record.offset < ended_at.get(record.key, -1)
                self._erase(request, record.timestamp, is_answered)

    def open(self, records: Iterable[Record]) -> None:
        """Take in what other partitions sent."""
        for record in records:
            if record.value is None:
                continue
            try:
                parcel = decode_parcel(record.value)
            except msgspec.MsgspecError as error:
                self._dead_letters.append(DeadLetter(record, _no_parcel(error)))
                continue
            if isinstance(parcel, Identification):
                self._opened[self._identify_by_parcel(parcel, record)] += 1
            else:
                self._opened[self._adopt(parcel, record.offset)] += 1

    def fold(self, records: Sequence[Record]) -> None:
        """Fold events, in the order of their offsets. Called once."""
        self._fold(self._all_but_plain(records) if self._natively else records)

    def _all_but_plain(self, records: Sequence[Record]) -> Sequence[Record]:
        self._plain = native.PlainFold(
            records, self._partition.number, self._now_ms, self._lateness_ms
        )
        if self._plain.first_user_id is not None:
            self._misplaced = self._is_misplaced(self._plain.first_user_id)
        known = {*self._open, *self._gone, *self._until_ms}
        return self._plain.fold(known, self._registry, self._look_up)

    def _fold(self, records: Iterable[Record]) -> None:
        open_of, touched, done_of, until_of = self._open, self._touched, self._done, self._until_ms
        deltas, now_ms, lateness_ms = self._deltas, self._now_ms, self._lateness_ms
        partition = self._partition.number
        duplicate = already_folded = erased = letters = 0
        checked = self._misplaced is not None
        for record in records:
            offset, arrived_ms = record.offset, arrival_of(record, now_ms)
            try:
                event = event_of(record, arrived_ms)
            except InvalidEventError as error:
                if self._is_erased(record):
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
                    self._outcomes[self._identify(told, record)] += 1
                    continue
            if not checked:
                self._misplaced = self._is_misplaced(user_id)
                checked = True
            timeline = open_of.get(user_id)
            if timeline is None:
                timeline = self._timeline(user_id, offset)
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
                self._dead_letters.append(DeadLetter(record, _late(lateness_ms)))
                letters += 1
        self._outcomes.update(
            duplicate=duplicate, already_folded=already_folded, erased=erased, dead_letter=letters
        )

    def expire(self, idle: Iterable[str]) -> None:
        """End the sessions of shoppers who were not seen for long, nor in this batch."""
        met = self._plain.users if self._plain else {}
        ended = {user_id for user_id in idle if user_id not in self._open and user_id not in met}
        self._gone |= ended
        self._expired = len(ended)

    def result(self) -> FoldedBatch:
        """All of it. Nothing can be folded afterwards."""
        number, parcels, newest_ms = self._partition.number, list(self._parcels), 0
        snapshots: dict[str, bytes | None] = dict.fromkeys(self._gone)
        for user_id, (offset, arrived_ms) in self._touched.items():
            opened = self._open[user_id]
            timeline = opened.close(self._lateness_ms)
            snapshots[user_id] = encode_snapshot(Snapshot(timeline, number, offset, arrived_ms))
            newest_ms = max(newest_ms, timeline.newest_ms)
            parcels += opened.handovers(arrived_ms)
        placed = sum([timeline.placed for timeline in self._open.values()])
        self._outcomes["folded"] = placed - self._identified_by_parcel
        plain = self._plain
        if plain:
            snapshots |= plain.snapshots
            newest_ms = max(newest_ms, plain.newest_ms)
            self._outcomes.update(folded=plain.folded, duplicate=plain.duplicates)
        return FoldedBatch(
            snapshots,
            plain.deltas(self._deltas) if plain else list(encode_deltas(self._deltas)),
            self._dead_letters,
            self._outcomes,
            parcels,
            self._opened,
            self._erasures,
            self._erased,
            self._expired,
            bool(self._misplaced),
            newest_ms,
            plain.folded + plain.duplicates if plain else 0,
        )

    def _is_erased(self, record: Record) -> bool:
        """Rubbish keyed by who is forgotten would name them in a letter. When it was sent first
        nobody can tell, so none of it is kept."""
        if record.key is None:
            return False
        user_id = record.key.decode(errors="replace")
        return max(self._registry.until_ms(user_id), self._until_ms.get(user_id, -1)) >= 0

    def _is_misplaced(self, user_id: str) -> bool:
        return self._partition.of(user_id) != self._partition.number

    def _timeline(self, user_id: str, offset: int = -1) -> OpenTimeline:
        past = self._past(user_id)
        if past is None:
            timeline = OpenTimeline(Timeline(Session(user_id)))
        else:
            timeline = OpenTimeline(past.timeline)
            if past.source_offset >= offset:
                self._done[user_id] = past.source_offset
        self._open[user_id] = timeline
        until_ms = self._registry.until_ms(user_id)
        if until_ms >= 0:
            self._until_ms[user_id] = max(until_ms, self._until_ms.get(user_id, -1))
        return timeline

    def _past(self, user_id: str) -> Snapshot | None:
        raw = None if user_id in self._gone else self._look_up(user_id)
        return None if raw is None else decode_snapshot(raw)

    def _identify(self, told: Identification, record: Record) -> str:
        """An `identify` event: for the partition of its device, which may be this one."""
        device, offset = told.anonymous_id, record.offset
        if self._partition.of(device) != self._partition.number:
            self._parcels.append(told)
            return "forwarded"
        timeline = self._open.get(device) or self._timeline(device, offset)
        if offset <= self._done.get(device, -1):
            return "already_folded"
        outcome = self._identified(timeline, told, record, told.arrived_ms)
        if outcome == "identified":
            self._touched[device] = offset, told.arrived_ms
            return "folded"  # replaced by the sum of what was placed
        return outcome

    def _identify_by_parcel(self, told: Identification, record: Record) -> str:
        device = told.anonymous_id
        timeline = self._open.get(device) or self._timeline(device)
        if timeline.has_taken(record.offset):
            return "already_opened"
        # As if it came long ago: the device's own events, on their way for longer, are not late.
        outcome = self._identified(timeline, told, record, arrived_ms=0)
        if outcome == "identified":
            self._identified_by_parcel += 1
            self._touched[device] = self._done.get(device, -1), told.arrived_ms
        return outcome

    def _identified(
        self, timeline: OpenTimeline, told: Identification, record: Record, arrived_ms: int
    ) -> str:
        if told.act.timestamp_ms <= self._until_ms.get(told.anonymous_id, -1):
            return "erased"
        outcome = timeline.identify(told.act, told.user_id, arrived_ms, self._lateness_ms)
        if outcome is _HANDED_OVER:
            return "identified"
        if outcome is _DUPLICATE:
            return "duplicate"
        self._dead_letters.append(DeadLetter(record, _late(self._lateness_ms)))
        return "dead_letter"

    def _adopt(self, parcel: Handover, offset: int) -> str:
        user_id = parcel.user_id
        timeline = self._open.get(user_id) or self._timeline(user_id)
        if timeline.has_taken(offset):
            return "already_opened"
        until_ms = self._until_ms.get(user_id, -1)
        if until_ms >= 0:
            parcel = _since(parcel, until_ms)
        timeline.adopt(parcel)
        self._touched[user_id] = self._done.get(user_id, -1), parcel.arrived_ms
        return "adopted"

    def _erase(self, request: Request, asked_ms: int, is_answered: bool) -> None:
        """Forget one id here. Where another generation's worker has answered, no more than that.

        1. Drop the session, and what was folded of it in this batch.
        2. Register that events up to now count no more, without the name.
        3. Ask for the erasure of the devices that were this person's.
        4. End the request; the sweep of everything else takes its place.
        """
        user_id, number = request.user_id, self._partition.number
        ended = (number, erasure_key(request), None)
        home = self._partition.of(user_id)
        if home != number:  # sent without the user id as its key
            self._erasures += [] if is_answered else [(home, *encode_erasure(request)), ended]
            return
        past = self._past(user_id)
        devices: tuple[str, ...] = ()
        removed = {"sessions": 0, "events": 0, "devices": 0}
        until_ms = asked_ms
        if past is not None and self._registry.until_ms(user_id) < asked_ms:
            session = past.session
            links = past.timeline.links
            devices = links.devices if links else ()
            removed = {"sessions": 1, "events": session.events_folded, "devices": len(devices)}
            until_ms = max(asked_ms, session.updated_ms)
            self._gone.add(user_id)
        self._until_ms[user_id] = until_ms
        entry = self._registry.entry(user_id, until_ms)
        self._erased.append(entry)
        if is_answered:
            return
        receipt = Receipt(request.request_id, "sessions", removed, self._now_ms)
        self._erasures += [
            (number, *encode_erasure(entry)),
            (number, *encode_erasure(Sweep(request.request_id, user_id))),
            (number, *encode_erasure(receipt)),
            ended,
        ]
        for at, device in enumerate(devices):
            linked = Request(f"{request.request_id}-{at}", device)
            self._erasures.append((self._partition.of(device), *encode_erasure(linked)))


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


def _since(parcel: Handover, until_ms: int) -> Handover:
    """Without what its user had erased."""
    session = parcel.session
    return msgspec.structs.replace(
        parcel,
        session=Session(session.user_id) if session.updated_ms <= until_ms else session,
        acts=tuple(act for act in parcel.acts if act.timestamp_ms > until_ms),
    )


def _late(lateness_ms: int) -> InvalidEventError:
    return InvalidEventError(
        "late",
        f"timestamp_ms lies more than {lateness_ms // 1000} s behind the shopper's newest "
        "event. Raise ENDCAP_LATENESS_S, or send it sooner.",
    )


def _no_request(error: Exception) -> InvalidEventError:
    return InvalidEventError(
        "erasure_request",
        f'{error}. A request is {{"type": "request", "request_id": "...", "user_id": "..."}}, '
        "keyed by the user id.",
    )


def _no_parcel(error: Exception) -> InvalidEventError:
    return InvalidEventError(
        "parcel", f"{error}. Only endcap's workers write here; find out what else does."
    )
