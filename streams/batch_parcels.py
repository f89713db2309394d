"""Logins and what they hand over: from one partition to the other in parcels, or within one."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from endcap.errors import InvalidEventError
from endcap.identity import Handover, Identification, Parcel, decode_parcel
from endcap.sessions import Session
from endcap.streams.batch_erasures import BatchErasures
from endcap.streams.batch_timelines import BatchTimelines
from endcap.streams.folded_batch import DeadLetter, Partition, Record, late
from endcap.timeline import OpenTimeline, Outcome


class BatchParcels:
    """`opened` accounts for every parcel; `to_send` are those for other partitions. `identified`:
    how many acts were placed by parcels, which are no events of this partition."""

    def __init__(
        self,
        partition: Partition,
        timelines: BatchTimelines,
        erasures: BatchErasures,
        lateness_ms: int,
    ) -> None:
        self._partition = partition
        self._timelines = timelines
        self._erasures = erasures
        self._lateness_ms = lateness_ms
        self.opened: Counter[str] = Counter()
        self.to_send: list[Parcel] = []
        self.identified = 0

    def take(self, records: Iterable[Record]) -> list[DeadLetter]:
        """Take in what other partitions sent. Returns what cannot be."""
        letters = []
        for record in records:
            if record.value is None:
                continue
            try:
                parcel = decode_parcel(record.value)
            except msgspec.MsgspecError as error:
                letters.append(DeadLetter(record, _no_parcel(error)))
                continue
            if isinstance(parcel, Identification):
                outcome = self._identify(parcel, record.offset)
            else:
                outcome = self._adopt(parcel, record.offset)
            if outcome == "dead_letter":
                letters.append(DeadLetter(record, late(self._lateness_ms)))
            self.opened[outcome] += 1
        return letters

    def identify(self, told: Identification, offset: int) -> str:
        """The outcome of an `identify` event: it is for the partition of its device, which may be
        this one."""
        device = told.anonymous_id
        if self._partition.of(device) != self._partition.number:
            self.to_send.append(told)
            return "forwarded"
        timeline = self._timelines.of(device, offset)
        if offset <= self._timelines.done.get(device, -1):
            return "already_folded"
        outcome = self._identified(timeline, told, told.arrived_ms)
        if outcome == "identified":
            self._timelines.touched[device] = offset, told.arrived_ms
            return "folded"
        return outcome

    def _identify(self, told: Identification, offset: int) -> str:
        timeline = self._timelines.of(told.anonymous_id)
        if timeline.has_taken(offset):
            return "already_opened"
        # As if it came long ago: the device's own events, on their way for longer, are not late.
        outcome = self._identified(timeline, told, arrived_ms=0)
        if outcome == "identified":
            self.identified += 1
            self._timelines.touch_by_parcel(told.anonymous_id, told.arrived_ms)
        return outcome

    def _identified(self, timeline: OpenTimeline, told: Identification, arrived_ms: int) -> str:
        if told.act.timestamp_ms <= self._erasures.until_ms.get(told.anonymous_id, -1):
            return "erased"
        outcome = timeline.identify(told.act, told.user_id, arrived_ms, self._lateness_ms)
        if outcome is Outcome.HANDED_OVER:
            return "identified"
        return "duplicate" if outcome is Outcome.DUPLICATE else "dead_letter"

    def _adopt(self, parcel: Handover, offset: int) -> str:
        user_id = parcel.user_id
        timeline = self._timelines.of(user_id)
        if timeline.has_taken(offset):
            return "already_opened"
        until_ms = self._erasures.until_ms.get(user_id, -1)
        timeline.adopt(parcel if until_ms < 0 else _since(parcel, until_ms))
        self._timelines.touch_by_parcel(user_id, parcel.arrived_ms)
        return "adopted"


def _since(parcel: Handover, until_ms: int) -> Handover:
    """Without what its user had erased."""
    session = parcel.session
    return msgspec.structs.replace(
        parcel,
        session=Session(session.user_id) if session.updated_ms <= until_ms else session,
        acts=tuple(act for act in parcel.acts if act.timestamp_ms > until_ms),
    )


def _no_parcel(error: Exception) -> InvalidEventError:
    return InvalidEventError(
        "parcel", f"{error}. Only endcap's workers write here; find out what else does."
    )
