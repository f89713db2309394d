"""Who of a batch's shoppers is forgotten, and what that sends on."""

from collections.abc import Callable, Sequence

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
from endcap.streams.folded_batch import DeadLetter, Partition, Record
from endcap.timeline import Snapshot, decode_snapshot


class BatchErasures:
    """The erasures of one partition that a batch asks for, and those of earlier ones.

    `gone`: whose session is dropped. `until_ms`: by user id, of those whom the batch met, up to
    which event time they are erased. `records` are of the topic of erasures with the partition of
    each, `entries` those of the registry.
    """

    def __init__(
        self,
        partition: Partition,
        look_up: Callable[[str], bytes | None],
        now_ms: int,
        registry: Registry,
    ) -> None:
        self._partition = partition
        self._look_up = look_up
        self._now_ms = now_ms
        self._registry = registry
        self.gone: set[str] = set()
        self.until_ms: dict[str, int] = {}
        self.records: list[tuple[int, bytes, bytes | None]] = []
        self.entries: list[Erased] = []

    def take(self, records: Sequence[Record]) -> list[DeadLetter]:
        """Forget who asked for it; their devices are asked for in turn. Returns the rubbish."""
        ended_at = {record.key: record.offset for record in records if record.value is None}
        rubbish = []
        for record in records:
            if record.value is None:
                continue
            try:
                request = decode_erasure(record.value)
            except msgspec.MsgspecError as error:
                rubbish.append(DeadLetter(record, _no_request(error)))
                continue
            if isinstance(request, Request):
                is_answered = record.offset < ended_at.get(record.key, -1)
                self._erase(request, record.timestamp, is_answered)
        return rubbish

    def meet(self, user_id: str) -> None:
        """From now on `until_ms` knows them, where an earlier batch erased them."""
        until_ms = self._registry.until_ms(user_id)
        if until_ms >= 0:
            self.until_ms[user_id] = max(until_ms, self.until_ms.get(user_id, -1))

    def past(self, user_id: str) -> Snapshot | None:
        """What the batches before this one left of a shopper who is not forgotten in it."""
        raw = None if user_id in self.gone else self._look_up(user_id)
        return None if raw is None else decode_snapshot(raw)

    def is_keyed_by_erased(self, record: Record) -> bool:
        """Rubbish keyed by who is forgotten would name them in a letter. When it was sent first
        nobody can tell, so none of it is kept."""
        if record.key is None:
            return False
        user_id = record.key.decode(errors="replace")
        return max(self._registry.until_ms(user_id), self.until_ms.get(user_id, -1)) >= 0

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
            self.records += [] if is_answered else [(home, *encode_erasure(request)), ended]
            return
        past = self.past(user_id)
        devices: tuple[str, ...] = ()
        removed = {"sessions": 0, "events": 0, "devices": 0}
        until_ms = asked_ms
        if past is not None and self._registry.until_ms(user_id) < asked_ms:
            session = past.session
            links = past.timeline.links
            devices = links.devices if links else ()
            removed = {"sessions": 1, "events": session.events_folded, "devices": len(devices)}
            until_ms = max(asked_ms, session.updated_ms)
            self.gone.add(user_id)
        self.until_ms[user_id] = until_ms
        entry = self._registry.entry(user_id, until_ms)
        self.entries.append(entry)
        if is_answered:
            return
        receipt = Receipt(request.request_id, "sessions", removed, self._now_ms)
        self.records += [
            (number, *encode_erasure(entry)),
            (number, *encode_erasure(Sweep(request.request_id, user_id))),
            (number, *encode_erasure(receipt)),
            ended,
        ]
        for at, device in enumerate(devices):
            linked = Request(f"{request.request_id}-{at}", device)
            self.records.append((self._partition.of(device), *encode_erasure(linked)))


def _no_request(error: Exception) -> InvalidEventError:
    return InvalidEventError(
        "erasure_request",
        f'{error}. A request is {{"type": "request", "request_id": "...", "user_id": "..."}}, '
        "keyed by the user id.",
    )
