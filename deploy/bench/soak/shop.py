"""A shop's servers and endcap's processes, each behind a proxy and each to be killed or frozen."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from endcap.deploy.bench.endcap_process import Place, endcap_process
from endcap.deploy.bench.soak.toxiproxy import Proxy, Toxiproxy
from endcap.deploy.local_stack import default_cache_dir
from endcap.deploy.local_stack.kafka import (
    format_kafka,
    kafka_jars,
    new_cluster_id,
    start_formatted_kafka,
)
from endcap.deploy.local_stack.ports import LOOPBACK, free_ports, is_open
from endcap.deploy.local_stack.supervised import Child
from endcap.deploy.local_stack.valkey import start_valkey

SESSION_TIMEOUT_S = 2
_READY_S = 90.0
_STOP_S = 30.0

# What connects through the proxy must be told the proxy's address, else it goes past it from its
# second connection on.
_PROXIED = """\
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller},PROXIED://{host}:{behind}
advertised.listeners=PLAINTEXT://{host}:{port},PROXIED://{host}:{proxy}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT
"""
# A Redis that is killed finds its lists again: written to the file before each answer.
_KEEPS_ITS_DATA = ("--appendonly", "yes", "--appendfsync", "everysec")


class Part:
    """A server or a process that can be killed, started again, frozen and woken.

    `start`: returns when it answers. `again`: starts one that ended by itself, and does not wait,
    as systemd or Kubernetes would; None: it may not end.
    """

    def __init__(
        self, name: str, start: Callable[[], Child], again: Callable[[], Child] | None = None
    ) -> None:
        self.name = name
        self._start = start
        self._again = again
        self._child = start()
        self.is_down = False
        self.restarts = 0

    def kill(self) -> None:
        """SIGKILL."""
        self.is_down = True
        self._child.kill()

    def revive(self) -> None:
        """Start it again, where it was, on what it had."""
        self._child = self._start()
        self.is_down = False

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, nothing answers."""
        self.is_down = True
        self._child.pause()

    def wake(self) -> None:
        """SIGCONT."""
        self._child.resume()
        self.is_down = False

    def look(self) -> None:
        """Start it again where it ended by itself; raise with the end of its log where it may not
        end."""
        if self.is_down or self._child.is_running:
            return
        if self._again is None:
            self._child.check()
        else:
            self._child = self._again()
            self.restarts += 1

    def ask_to_stop(self) -> None:
        """SIGTERM, or SIGCONT before it where it is frozen."""
        self._child.resume()
        self._child.ask_to_stop()

    def stop(self) -> None:
        """In order, and by SIGKILL after a while."""
        self._child.stop(_STOP_S)


class _Ports(NamedTuple):
    kafka: int
    controller: int
    behind: int
    redis: int


class Shop:
    """Kafka and Valkey, each with a proxy; two session workers, two rescorers and a server behind
    them. What makes the load connects past the proxies.

    What is started here ends with the `with` block, or with a SIGKILL of this process.
    """

    def __init__(
        self,
        bundle: Path,
        prefix: str,
        cache_dir: Path | None,
        say: Callable[[str], None],
        logs: Path | None = None,
    ) -> None:
        self._bundle = bundle
        self._prefix = prefix
        self._cache_dir = cache_dir or default_cache_dir()
        self._say = say
        self._logs = logs
        self.parts: list[Part] = []

    @property
    def bootstrap_servers(self) -> str:
        """The broker itself."""
        return f"{LOOPBACK}:{self._ports.kafka}"

    @property
    def redis_port(self) -> int:
        """Of Valkey itself."""
        return self._ports.redis

    def __enter__(self) -> Self:
        if self._logs is None:
            self.log_dir = Path(tempfile.mkdtemp(prefix="endcap-soak-"))
        else:
            self._logs.mkdir(parents=True)
            self.log_dir = self._logs.resolve()
        with ExitStack() as undo:
            undo.callback(self._stop)
            self._toxiproxy = undo.enter_context(Toxiproxy(self.log_dir))
            self._start_servers()
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._undo.close()
        if error is None and self._logs is None:
            shutil.rmtree(self.log_dir, ignore_errors=True)
        elif error is not None:
            error.add_note(f"The logs are in {self.log_dir}.")

    def start_processes(self) -> None:
        """The topics must be there."""
        self._say("Starting two session workers, two rescorers and the server")
        self.workers = [self._process(f"stream {number}", "stream") for number in (1, 2)]
        self.rescorers = [self._process(f"rescore {number}", "rescore") for number in (1, 2)]
        (self.http_port,) = free_ports(1)
        server = {"ENDCAP_HTTP_PORT": str(self.http_port), "ENDCAP_HTTP_SHOP": "false"}
        self.server = self._process("serve", "serve", server, self.http_port)

    def look(self) -> None:
        """Supervise: what ended by itself is started again; of servers that raises."""
        for part in self.parts:
            part.look()

    @property
    def restarts(self) -> int:
        """How often a process ended by itself."""
        return sum(part.restarts for part in self.parts)

    def _start_servers(self) -> None:
        jars = kafka_jars(self._cache_dir, self._say)
        self._ports = ports = _Ports(*free_ports(4))
        self.kafka_proxy = self._toxiproxy.proxy("kafka", ports.behind)
        self.redis_proxy: Proxy = self._toxiproxy.proxy("redis", ports.redis)
        folder = self.log_dir / "kafka"
        folder.mkdir()
        proxied = _PROXIED.format(
            host=LOOPBACK,
            port=ports.kafka,
            controller=ports.controller,
            behind=ports.behind,
            proxy=self.kafka_proxy.port,
        )
        self._say("Starting Apache Kafka and Valkey behind Toxiproxy")
        format_kafka(ports.kafka, ports.controller, folder, jars, new_cluster_id(), proxied)
        self.kafka = self._part(
            "Apache Kafka", lambda: start_formatted_kafka(ports.kafka, folder, jars)
        )
        self.redis = self._part(
            "Valkey", lambda: start_valkey(ports.redis, self.log_dir, _KEEPS_ITS_DATA)
        )

    def _process(
        self,
        name: str,
        command: str,
        more: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> Part:
        file_name = name.replace(" ", "-")
        metrics_port = free_ports(1)[0] if port is None else port
        place = Place(
            f"{LOOPBACK}:{self.kafka_proxy.port}",
            self._prefix,
            self.log_dir / file_name,
            metrics_port,
        )
        environment = {
            "ENDCAP_REDIS_URL": f"redis://{LOOPBACK}:{self.redis_proxy.port}/0",
            "ENDCAP_SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
            "ENDCAP_BUNDLE": str(self._bundle.resolve()),
            **(more or {}),
        }

        def again() -> Child:
            log_file = self.log_dir / f"{file_name}.log"
            return endcap_process(command, place, log_file, environment, name)

        def start() -> Child:
            return again().once(lambda: is_open(metrics_port), _READY_S)

        return self._part(name, start, again)

    def _part(
        self, name: str, start: Callable[[], Child], again: Callable[[], Child] | None = None
    ) -> Part:
        part = Part(name, start, again)
        self.parts.append(part)
        return part

    def _stop(self) -> None:
        """endcap's processes before the servers that they use."""
        for part in reversed(self.parts):
            part.ask_to_stop()
        for part in reversed(self.parts):
            part.stop()
        self.parts.clear()
