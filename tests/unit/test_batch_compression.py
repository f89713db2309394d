"""What a producer sends is compressed where that pays, and any reader reads it."""

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from endcap.streams.batch_compression import WORTH_BYTES, compressed

PLAIN, ZSTD = 0, 4


def batch_of(values: list[bytes], transactional: bool) -> bytearray:
    builder = DefaultRecordBatchBuilder(
        2,
        PLAIN,
        is_transactional=transactional,
        producer_id=7,
        producer_epoch=3,
        base_sequence=41,
        batch_size=1 << 20,
    )
    for at, value in enumerate(values):
        builder.append(at, timestamp=1_000 + at, key=b"k", value=value, headers=[("h", b"x")])
    built: bytearray = builder.build()
    return built


@pytest.mark.parametrize("transactional", [False, True])
@pytest.mark.parametrize(
    ("values", "codec"),
    [
        ([b"one event"], PLAIN),
        ([b"v" * (WORTH_BYTES - 200)], PLAIN),
        ([b"v" * WORTH_BYTES], ZSTD),
        ([b'{"user_id":"u%d"}' % at for at in range(2_000)], ZSTD),
    ],
)
def test_a_batch_keeps_its_records_and_their_place(
    values: list[bytes], codec: int, transactional: bool
) -> None:
    plain = batch_of(values, transactional)
    sent = compressed(bytearray(plain))
    assert (len(sent) < len(plain)) == (codec == ZSTD)
    records = MemoryRecords(bytes(sent))
    batch = records.next_batch()
    assert batch is not None
    assert batch.validate_crc()
    assert batch.attributes & 7 == codec
    assert batch.is_transactional == transactional
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (7, 3, 41)
    assert [(r.offset, r.timestamp, r.key, r.value, r.headers) for r in batch] == [
        (at, 1_000 + at, b"k", value, [("h", b"x")]) for at, value in enumerate(values)
    ]
    assert not records.has_next()
