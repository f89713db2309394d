"""Kafka and Valkey on this machine, from pip packages alone, for as long as a `with` lasts."""

import atexit
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import NamedTuple, Self, TypeVar

from endcap.deploy.local_stack.kafka import (
    KAFKA_VERSION,
    kafka_jars,
    start_formatted_kafka,
    start_kafka,
)
from endcap.deploy.local_stack.ports import LOOPBACK, free_ports
from endcap.deploy.local_stack.supervised import Child, LocalStackError, PortTakenError
from endcap.deploy.local_stack.valkey import start_valkey

__all__ = [
    "LocalStack",
    "LocalStackError",
    "default_cache_dir",
    "exit_on_sigterm",
    "on_a_free_port",
]

_PORT_ATTEMPTS = 3
_T = TypeVar("_T")


class LocalStack:
    """A Kafka broker and a Redis-compatible store: the ones given, or real ones started here.

    ```python
    with LocalStack(bootstrap_servers=None, redis_url=None) as stack:
        print(stack.bootstrap_servers, stack.redis_url)
    ```

    What is started here listens on the loopback interface only, keeps its data in a temporary
    folder, and ends with the `with` block, with the interpreter, or with a SIGKILL of this
    process. What was given is neither started, checked nor stopped.

    Args:
        bootstrap_servers: a running Kafka, or None to start Apache Kafka.
        redis_url: a running Redis or Valkey, or None to start Valkey.
        cache_dir: where Kafka's jars are kept between runs; None for `default_cache_dir()`.
        on_progress: called with one sentence before each step that takes time.
    """

    def __init__(
        self,
        bootstrap_servers: str | None,
        redis_url: str | None,
        cache_dir: Path | None = None,
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        self._given_bootstrap_servers = bootstrap_servers
        self._given_redis_url = redis_url
        self._bootstrap_servers = bootstrap_servers
        self._redis_url = redis_url
        self._cache_dir = cache_dir or default_cache_dir()
        self._on_progress = on_progress or (lambda _: None)
        self._children: list[Child] = []
        self._folder: Path | None = None
        self._broker: _Broker | None = None

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` of the broker, as given or as started."""
        return self._known(self._bootstrap_servers)

    @property
    def redis_url(self) -> str:
        """`redis://host:port/0` of the store, as given or as started."""
        return self._known(self._redis_url)

    @property
    def log_dir(self) -> Path:
        """The temporary folder of the servers: `broker-1/kafka.log`, `store-1/valkey.log`, data."""
        return self._known(self._folder)

    @property
    def pids(self) -> dict[str, int]:
        """Process id of each server started here, by its name."""
        return {child.name: child.pid for child in self._children}

    @property
    def fallen(self) -> list[str]:
        """The names of those started here that have ended by themselves."""
        return [child.name for child in self._children if not child.is_running]

    def start(self) -> None:
        """Start what was not given and return once all of it answers.

        On failure what had started is stopped again, and the logs stay for inspection:
        `LocalStackError` names them. An interrupt (Ctrl-C) leaves nothing behind.
        """
        if self._folder is not None:
            raise LocalStackError("This local stack is already started. Stop it first.")
        self._folder = Path(tempfile.mkdtemp(prefix="endcap-stack-"))
        atexit.register(self.stop)
        try:
            if self._given_redis_url is None:
                self._redis_url = f"redis://{LOOPBACK}:{self._start_valkey(self._folder)}/0"
            if self._given_bootstrap_servers is None:
                self._bootstrap_servers = f"{LOOPBACK}:{self._start_kafka(self._folder)}"
        except LocalStackError:
            self._stop(keep_logs=True)
            raise
        except BaseException:
            self._stop(keep_logs=False)
            raise

    def stop(self) -> None:
        """Stop what was started here and remove its folder. Idempotent."""
        self._stop(keep_logs=False)

    def kill_kafka(self) -> None:
        """SIGKILL the broker that was started here, as a fault for tests; see `revive_kafka`."""
        broker = self._known(self._broker)
        self._children.remove(broker.child)
        broker.child.kill()

    def revive_kafka(self) -> None:
        """Start the killed broker again, on the same port and data."""
        broker = self._known(self._broker)
        child = start_formatted_kafka(broker.port, broker.folder, broker.jars)
        self._children.append(child)
        self._broker = broker._replace(child=child)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        fallen = self.fallen if isinstance(error, Exception) else []
        if error is not None and fallen:
            error.add_note(f"{' and '.join(fallen)} had ended by then: see {self._folder}")
        # Whose message sends people to the logs must leave them there.
        is_named = isinstance(error, Exception) and str(self._folder) in str(error)
        self._stop(keep_logs=bool(fallen) or is_named)

    def _start_valkey(self, folder: Path) -> int:
        self._on_progress("Starting Valkey")

        def attempt(part: Path) -> int:
            (port,) = free_ports(1)
            self._children.append(start_valkey(port, part))
            return port

        return on_a_free_port(attempt, folder / "store")

    def _start_kafka(self, folder: Path) -> int:
        jars = kafka_jars(self._cache_dir, self._on_progress)
        self._on_progress(f"Starting Apache Kafka {KAFKA_VERSION}")

        def attempt(part: Path) -> int:
            port, controller_port = free_ports(2)
            broker = start_kafka(port, controller_port, part, jars)
            self._children.append(broker)
            self._broker = _Broker(broker, port, part, jars)
            return port

        return on_a_free_port(attempt, folder / "broker")

    def _stop(self, *, keep_logs: bool) -> None:
        """Ask all, then wait for each; forget them, so that a second call finds nothing to do."""
        children, self._children = self._children, []
        folder, self._folder = self._folder, None
        atexit.unregister(self.stop)
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.stop()
        self._bootstrap_servers = self._given_bootstrap_servers
        self._redis_url = self._given_redis_url
        if folder is not None and not keep_logs:
            shutil.rmtree(folder, ignore_errors=True)

    def _known(self, value: _T | None) -> _T:
        if value is None:
            raise LocalStackError(
                "The local stack is not running. Use it as `with LocalStack(...) as stack:`, "
                "or call start() first."
            )
        return value


class _Broker(NamedTuple):
    """What it takes to start the broker again."""

    child: Child
    port: int
    folder: Path
    jars: list[Path]


def default_cache_dir() -> Path:
    """Where the jars are kept: `endcap/jars` in `XDG_CACHE_HOME`, or in `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "endcap" / "jars"


def exit_on_sigterm() -> None:
    """Turn SIGTERM into `SystemExit(143)`, so that it leaves `with` blocks in order.

    For a command line to call once, from the main thread: a library does not take signals.
    """

    def leave(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)


def on_a_free_port(attempt: Callable[[Path], _T], folder: Path) -> _T:
    """Try again, in a folder of its own, where another process was faster to take the port."""
    for number in range(1, _PORT_ATTEMPTS):
        with suppress(PortTakenError):
            return attempt(_new_folder(folder, number))
    return attempt(_new_folder(folder, _PORT_ATTEMPTS))


def _new_folder(stem: Path, number: int) -> Path:
    folder = stem.with_name(f"{stem.name}-{number}")
    folder.mkdir()
    return folder
