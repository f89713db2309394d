"""`endcap stream` in a process of its own, as an operator would run it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from endcap.deploy.bench.endcap_process import Place, endcap_process
from endcap.deploy.local_stack.ports import free_ports, is_open
from endcap.deploy.prometheus_text import scrape, total

SESSION_TIMEOUT_S = 2
_READY_S = 60.0
_NOTHING: Mapping[str, str] = {}


class Servers(Protocol):
    """A broker or several, and a folder for the logs of what works with them."""

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, with commas between several."""
        ...

    @property
    def log_dir(self) -> Path:
        """It is there."""
        ...


class StreamProcess:
    """It runs, and its metrics answer."""

    def __init__(
        self, stack: Servers, prefix: str, number: int, more: Mapping[str, str] = _NOTHING
    ) -> None:
        """`more`: settings beside these, by their names in the environment."""
        (self._port,) = free_ports(1)
        folder = stack.log_dir / f"stream-{number}"
        self.child = endcap_process(
            "stream",
            Place(stack.bootstrap_servers, prefix, folder, self._port),
            stack.log_dir / f"stream-{number}.log",
            {"ENDCAP_SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S), **more},
            name=f"stream {number}",
        )
        self.child.wait_until(lambda: is_open(self._port), _READY_S)

    def count(self, metric: str) -> int:
        """What one of its counters says."""
        return int(total(scrape(self._port), metric))

    def fenced(self) -> int:
        """How often it was refused so far."""
        return self.count("endcap_stream_fenced_total")
