"""How many records of a partition are still unread, as the consumer knows it without asking."""

import contextlib
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError
from prometheus_client import Gauge


class Lag:
    """The gauge's series of some partitions; they end with `forget()`.

    The end is the one that the broker's last answer named, up to which all is committed. It is as
    old as that answer: a consumer that is stuck says nothing new, which its heartbeat tells.
    """

    def __init__(
        self, gauge: Gauge, names: Mapping[str, str], sources: Iterable[TopicPartition]
    ) -> None:
        """`gauge` has two labels: what `names` calls a topic, and the partition."""
        self._gauge = gauge
        self._labels = {each: (names[each.topic], str(each.partition)) for each in sources}
        self._series = {each: gauge.labels(*labels) for each, labels in self._labels.items()}

    async def look(self, consumer: AIOKafkaConsumer) -> None:
        """Set them to what is known now; nothing is asked of the broker."""
        for source, series in self._series.items():
            if source not in consumer.assignment():
                continue
            end = consumer.last_stable_offset(source)
            if end is None or end < 0:
                continue  # the broker has not answered yet
            with contextlib.suppress(IllegalStateError):  # it is revoked just now
                series.set(max(0, end - await consumer.position(source)))

    def forget(self) -> None:
        """Another process counts them from now on."""
        for labels in self._labels.values():
            with contextlib.suppress(KeyError):
                self._gauge.remove(*labels)
