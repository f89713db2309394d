"""Three Kafka nodes on this machine, for what one broker cannot show: leaders that move."""

import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from endcap.deploy.local_stack import default_cache_dir, on_a_free_port
from endcap.deploy.local_stack.kafka import (
    format_kafka,
    kafka_jars,
    known_brokers,
    new_cluster_id,
    start_formatted_kafka,
)
from endcap.deploy.local_stack.ports import LOOPBACK, free_ports
from endcap.deploy.local_stack.supervised import Child, LocalStackError

NODES = (1, 2, 3)
_START_TIMEOUT_S = 90.0
_POLL_S = 0.1

_JVM_FLAGS = ("-Xms128m", "-Xmx256m")

# Each node is a broker and one of three controllers: whichever is killed, two are a quorum. A
# killed broker is missed after 3 s instead of 9, and a leader that was moved away comes back to its
# preferred broker within seconds instead of 300: a move without a broker that dies.
_PROPERTIES = """\
node.id={node}
controller.quorum.voters={voters}
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
replica.lag.time.max.ms=5000
leader.imbalance.check.interval.seconds=2
leader.imbalance.per.broker.percentage=0
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
default.replication.factor=3
min.insync.replicas=2
"""


class _Node(NamedTuple):
    number: int
    port: int
    controller_port: int
    folder: Path


class KafkaCluster:
    """Three nodes of which one may be killed; their topics want replication 3, two in sync.

    What is started here ends with the `with` block, or with a SIGKILL of this process.
    """

    def __init__(self, cache_dir: Path | None, on_progress: Callable[[str], None]) -> None:
        """`cache_dir`: where the jars are kept; None for the usual place."""
        self._cache_dir = cache_dir or default_cache_dir()
        self._on_progress = on_progress
        self._running: dict[int, Child] = {}

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` of all three, with commas between them."""
        return ",".join(f"{LOOPBACK}:{node.port}" for node in self._nodes.values())

    @property
    def down(self) -> list[int]:
        """The nodes that were killed and not started again."""
        return [number for number in self._nodes if number not in self._running]

    def kill(self, number: int) -> None:
        """SIGKILL a node; its leaders move to the others."""
        self._running.pop(number).kill()

    def revive(self, number: int) -> None:
        """Start a killed node again, on the same port and data."""
        node = self._nodes[number]
        self._running[number] = start_formatted_kafka(
            node.port, node.folder, self._jars, _JVM_FLAGS
        )

    def __enter__(self) -> Self:
        self._jars = kafka_jars(self._cache_dir, self._on_progress)
        self._on_progress("Starting three Kafka nodes")
        self.log_dir = Path(tempfile.mkdtemp(prefix="endcap-cluster-"))
        try:
            on_a_free_port(self._start, self.log_dir / "nodes")
        except BaseException:
            self._stop()  # the logs stay: the error names one of them
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()
        if error is None:
            shutil.rmtree(self.log_dir, ignore_errors=True)

    def _start(self, folder: Path) -> None:
        """Side by side: none of them answers before two are there."""
        ports = free_ports(2 * len(NODES))
        self._nodes = {
            number: _Node(number, port, controller_port, folder / f"kafka-{number}")
            for number, port, controller_port in zip(NODES, ports[::2], ports[1::2], strict=True)
        }
        voters = ",".join(
            f"{node.number}@{LOOPBACK}:{node.controller_port}" for node in self._nodes.values()
        )
        cluster_id = new_cluster_id()

        def start(node: _Node) -> None:
            node.folder.mkdir()
            properties = _PROPERTIES.format(node=node.number, voters=voters)
            format_kafka(
                node.port, node.controller_port, node.folder, self._jars, cluster_id, properties
            )
            self.revive(node.number)

        try:
            with ThreadPoolExecutor(len(NODES)) as threads:
                list(threads.map(start, self._nodes.values()))
        except BaseException:
            self._stop()
            raise
        self._wait_until_they_know_each_other()

    def _wait_until_they_know_each_other(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while any(known_brokers(node.port) < len(NODES) for node in self._nodes.values()):
            if time.monotonic() > deadline:
                raise LocalStackError(
                    f"The Kafka nodes did not find one another within {_START_TIMEOUT_S:g} s; "
                    f"their logs are in {self.log_dir}."
                )
            time.sleep(_POLL_S)

    def _stop(self) -> None:
        """Killed: in order they would hand over leaders to one another, for nobody."""
        running, self._running = self._running, {}
        for child in running.values():
            child.kill()
