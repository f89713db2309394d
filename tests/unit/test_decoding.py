"""One record that others wrote can end no worker that reads it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from endcap.catalogue import decode_change, decode_item
from endcap.erasure import decode_erasure, understood
from endcap.errors import InvalidEventError
from endcap.events import parse_event
from endcap.experiments import decode_impression
from endcap.serving.posted_rows import Kind, WrongRowsError, parse_rows
from endcap.streams.folded_batch import Partition
from endcap.streams.item_deltas import decode_deltas
from endcap.streams.session_batch import fold_batch
from endcap.streams.sweeper import named_in

DEEP = b"[" * 100_000 + b"]" * 100_000
RECORDS = {
    "too deep a list": DEEP,
    "too deep a field": b'{"type": "request", "more": ' + DEEP + b"}",
    "no UTF-8": b'{"type": "request", "request_id": "\xff", "user_id": "a", "item_id": "\xff"}',
}
DECODERS: tuple[Callable[[bytes], Any], ...] = (
    decode_item,
    decode_change,
    decode_erasure,
    decode_impression,
    decode_deltas,
)


class Record(NamedTuple):
    """Of a topic that others write to."""

    value: bytes
    key: bytes = b"ann"
    offset: int = 0
    timestamp: int = 1_700_000_000_000
    timestamp_type: int = 1
    topic: str = "events"
    partition: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


@pytest.mark.parametrize("raw", RECORDS.values(), ids=RECORDS)
def test_every_decoder_of_others_json_refuses_by_one_kind_of_error(raw: bytes) -> None:
    for decode in DECODERS:
        with pytest.raises(msgspec.DecodeError):
            decode(raw)
    assert understood(raw) is None
    with pytest.raises(InvalidEventError):
        parse_event(raw, 1_700_000_000_000)


@pytest.mark.parametrize("natively", [False, True])
def test_events_that_are_nested_too_deep_or_no_utf_8_are_dead_letters(natively: bool) -> None:
    records = [Record(raw, offset=at) for at, raw in enumerate(RECORDS.values())]
    batch = fold_batch(records, Partition(0, 1), lambda _: None, records[0].timestamp, natively)
    assert [letter.record.offset for letter in batch.dead_letters] == [0, 1, 2]


@pytest.mark.parametrize("raw", RECORDS.values(), ids=RECORDS)
def test_a_body_that_is_nested_too_deep_or_no_utf_8_is_refused_in_words(raw: bytes) -> None:
    with pytest.raises(WrongRowsError, match=r"JSON|type|Expected|required"):
        parse_rows(raw, parse_event, Kind("event", 500))


def test_a_dead_letter_too_deep_to_be_read_is_erased_by_the_word_that_names_the_person() -> None:
    raw = b'{"user_id": "ann-4711", "more": ' + DEEP + b"}"
    assert named_in(Record(raw, key=b"k"), {"ann-4711", "ben"}) == {"ann-4711"}
