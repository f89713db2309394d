"""A topic read once, from a time on."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer

from endcap.streams.clients import started_consumer, unavailable

IDLE_S = 30.0
"""A broker that gives nothing for so long, and has more, is away."""
_POLL_MS = 500
Advance = Callable[[str, int, int], None]
"""Told of records read, of how many, in which topic: (topic, read, of)."""


class TopicSince:
    """A topic from a time of the broker to where it ends when it is read."""

    def __init__(self, bootstrap_servers: str, topic: str, since_ms: int, advance: Advance) -> None:
        self._bootstrap = bootstrap_servers
        self._topic = topic
        self._since_ms = since_ms
        self._advance = advance
        self.is_whole = True
        """False after `read` where records since then were deleted, by retention or by hand, or
        may have been."""

    async def read(self) -> AsyncIterator[Sequence[Any]]:
        """Committed records, some at a time; nothing where there is no topic.

        Raises:
            BrokerUnavailableError: no broker answers, or it gave nothing for `IDLE_S`.
        """
        reader = await started_consumer(
            self._bootstrap, self._topic, isolation_level="read_committed"
        )
        try:
            ends: dict[Any, int] = await reader.end_offsets(reader.assignment())
            left = await self._seek(reader, ends)
            done, whole, idle_s = 0, left, 0.0
            while any([await reader.position(tp) < end for tp, end in ends.items()]):
                found = await reader.getmany(timeout_ms=_POLL_MS)
                for tp, records in found.items():
                    # What came after the look at the ends belongs to the next report.
                    yield [record for record in records if record.offset < ends[tp]]
                    done += len(records)
                idle_s = 0.0 if found else idle_s + _POLL_MS / 1000
                if idle_s >= IDLE_S:
                    raise unavailable(self._bootstrap, TimeoutError())
                self._advance(self._topic, min(done, whole), whole)
        finally:
            await reader.stop()

    async def _seek(self, reader: AIOKafkaConsumer, ends: Mapping[Any, int]) -> int:
        """To the first record since then in each partition; how many records follow."""
        begins = await reader.beginning_offsets(list(ends))
        found = await reader.offsets_for_times(dict.fromkeys(ends, max(0, self._since_ms)))
        starts = {tp: found[tp].offset if found[tp] else end for tp, end in ends.items()}
        self.is_whole = not any(0 < begins[tp] >= start for tp, start in starts.items())
        for tp, offset in starts.items():
            reader.seek(tp, offset)
        return sum(ends.values()) - sum(starts.values())
