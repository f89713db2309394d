"""What a batch of a source's records becomes: events, dead letters, or nothing."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from endcap.adapters import Adapter, Translated, translate, translate_row
from endcap.cloud_events import Opened, open_record
from endcap.consent import refuse_denied
from endcap.errors import ConsentDeniedError, InvalidEventError
from endcap.streams.dead_letters import LARGEST_VALUE
from endcap.streams.folded_batch import DeadLetter, Partition
from endcap.streams.record_batches import KafkaRecord
from endcap.streams.record_decoders import RecordDecoder


class Source(NamedTuple):
    """A topic that is read, and what turns its records into events."""

    name: str
    topic: str
    decoder: RecordDecoder
    adapt: Adapter


class IngestedBatch(NamedTuple):
    """Records for each partition of the events, and what was refused.

    `outcomes` accounts for every record: sent, ignored, consent_denied, dead_letter.
    """

    events: dict[int, list[KafkaRecord]]
    dead_letters: list[DeadLetter]
    outcomes: Counter[str]


async def ingest_batch(
    source: Source, records: Sequence[Any], now_ms: int, partitions: int
) -> IngestedBatch:
    """Open, decode, adapt and validate each record, in their order.

    Raises:
        RegistryUnavailableError: the schemas are not to be had now; nothing was decided.
    """
    opened = [_open(record) for record in records]
    await source.decoder.prepare(
        each.payload for each in opened if isinstance(each, Opened) and each.payload
    )
    whole = Partition(0, partitions)
    events: dict[int, list[KafkaRecord]] = {}
    letters: list[DeadLetter] = []
    ignored = denied = 0
    for record, each in zip(records, opened, strict=True):
        try:
            refuse_denied(record.value)
            event = _translate(source, each, now_ms)
        except ConsentDeniedError:
            denied += 1
            continue
        except InvalidEventError as error:
            letters.append(DeadLetter(record, error))
            continue
        if event is None:
            ignored += 1
        else:
            row: KafkaRecord = (event.home.encode(), event.encoded, [])
            events.setdefault(whole.of(event.home), []).append(row)
    outcomes = Counter(ignored=ignored, dead_letter=len(letters), consent_denied=denied)
    outcomes["sent"] = len(records) - outcomes.total()
    return IngestedBatch(events, letters, outcomes)


def _open(record: Any) -> Opened | InvalidEventError:
    try:
        return open_record(record.headers, record.value)
    except InvalidEventError as error:
        return error


def _translate(
    source: Source, opened: Opened | InvalidEventError, now_ms: int
) -> Translated | None:
    if isinstance(opened, InvalidEventError):
        raise opened
    if opened.event_id is None:
        event = translate(opened.payload, source.decoder.decode, source.adapt, now_ms)
    else:
        event = translate_row(_row(source, opened), source.adapt, now_ms, opened.event_id)
    if event is not None and len(event.encoded) > LARGEST_VALUE:
        raise InvalidEventError(
            "too_large", f"The event has {len(event.encoded)} bytes; {LARGEST_VALUE} are allowed."
        )
    return event


def _row(source: Source, opened: Opened) -> dict[str, Any]:
    """A CloudEvent's attributes are fields as well, where its data has none of their names."""
    if opened.row is not None:
        return {**opened.attributes, **opened.row}
    if not opened.payload:
        raise InvalidEventError("empty", "The CloudEvent has no data.")
    return {**opened.attributes, **source.decoder.decode(opened.payload)}
