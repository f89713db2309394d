"""A topic read to its end, then followed in the background, for as long as somebody looks at it."""

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from endcap.errors import BrokerUnavailableError
from endcap.streams.clients import started_consumer

log = logging.getLogger(__name__)
_RETRY_S = 1.0


class TopicFollower(ABC):
    """Reads all partitions of a topic; what to keep of it is a subclass' business."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._bootstrap = bootstrap_servers
        self._topic = topic
        self._following: asyncio.Task[None] | None = None

    @abstractmethod
    def _keep(self, batches: Mapping[TopicPartition, Sequence[Any]]) -> None:
        """Take in what was read."""

    def _resume(self, _partition: int, beginning: int, _end: int) -> int:
        """The offset to read on from."""
        return beginning

    async def start(self) -> None:
        """Read what the topic holds now, then follow in the background.

        Raises:
            BrokerUnavailableError: no broker answers.
        """
        consumer = await self._opened()
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            self._keep(await consumer.getmany(timeout_ms=200))
        self._following = asyncio.create_task(self._follow(consumer))
        await asyncio.sleep(0)  # a task that is cancelled before it begins stops no consumer

    async def stop(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following

    async def _follow(self, consumer: Any) -> None:
        while True:
            try:
                while True:
                    self._keep(await consumer.getmany(timeout_ms=1000))
            except KafkaError:
                log.exception("following %s failed; it is read anew", self._topic)
            finally:
                await consumer.stop()
            consumer = await self._reopened()

    async def _reopened(self) -> Any:
        while True:
            await asyncio.sleep(_RETRY_S)
            try:
                return await self._opened()
            except (BrokerUnavailableError, KafkaError) as error:
                log.warning("%s", error)

    async def _opened(self) -> Any:
        consumer = await started_consumer(self._bootstrap, self._topic)
        try:
            beginnings = await consumer.beginning_offsets(consumer.assignment())
            ends = await consumer.end_offsets(consumer.assignment())
        except KafkaError:
            await consumer.stop()
            raise
        for tp, beginning in beginnings.items():
            consumer.seek(tp, self._resume(tp.partition, beginning, ends[tp]))
        return consumer
