"""Where a group begins in a partition: at its commit, or where it is told."""

from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition


class Start(NamedTuple):
    """Where a group begins that has committed nothing yet: at the earliest record, unless told."""

    at_end: bool = False
    since_ms: int | None = None


async def resume(consumer: AIOKafkaConsumer, tp: TopicPartition, start: Start) -> None:
    """Read on from the commit. It is looked up after the fence: nobody moves it any more."""
    committed = await consumer.committed(tp)
    if committed is None and start.since_ms is not None:
        # By the records' timestamps; none as late as that: from the end on.
        found = (await consumer.offsets_for_times({tp: start.since_ms}))[tp]
        committed = found.offset if found else (await consumer.end_offsets([tp]))[tp]
    elif committed is None:
        look_up = consumer.end_offsets if start.at_end else consumer.beginning_offsets
        committed = (await look_up([tp]))[tp]
    # What was fetched since the assignment is thrown away by a seek, even to where it stands.
    if await consumer.position(tp) != committed:
        consumer.seek(tp, committed)
