"""Toxiproxy: TCP proxies that can be cut, made late, slow and silent.

Its HTTP API: https://github.com/Shopify/toxiproxy#http-api.
"""

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from endcap.deploy.local_stack.ports import LOOPBACK, free_ports, is_open
from endcap.deploy.local_stack.supervised import Child
from endcap.errors import EndcapError

_READY_S = 20.0
_ANSWER_S = 5.0
_BINARY = "toxiproxy-server"
_MISSING = (
    "The soak cuts connections by Toxiproxy, and there is no toxiproxy-server. `make soak` builds "
    "it where Go is installed; or put a binary on the PATH, or its path into TOXIPROXY."
)


class Proxy:
    """One of them. `port`: where it listens."""

    def __init__(self, api: str, name: str, upstream_port: int) -> None:
        (self.port,) = free_ports(1)
        self._path = f"{api}/proxies/{name}"
        _ask(
            "POST",
            f"{api}/proxies",
            {
                "name": name,
                "listen": f"{LOOPBACK}:{self.port}",
                "upstream": f"{LOOPBACK}:{upstream_port}",
                "enabled": True,
            },
        )

    def cut(self) -> None:
        """Every connection ends, and no new one is taken."""
        _ask("POST", self._path, {"enabled": False})

    def late(self) -> None:
        """Each answer comes 200 to 400 ms later."""
        self._poison("latency", "downstream", {"latency": 300, "jitter": 100})

    def slow(self) -> None:
        """64 KB/s each way."""
        self._poison("bandwidth", "downstream", {"rate": 64})
        self._poison("bandwidth", "upstream", {"rate": 64})

    def silence(self) -> None:
        """Connections stay, and nothing passes: a firewall that forgot them."""
        self._poison("timeout", "downstream", {"timeout": 0})
        self._poison("timeout", "upstream", {"timeout": 0})

    def heal(self) -> None:
        """As it was."""
        for toxic in _ask("GET", f"{self._path}/toxics"):
            _ask("DELETE", f"{self._path}/toxics/{toxic['name']}")
        _ask("POST", self._path, {"enabled": True})

    def _poison(self, kind: str, stream: str, attributes: Mapping[str, int]) -> None:
        toxic = {"type": kind, "stream": stream, "toxicity": 1.0, "attributes": attributes}
        _ask("POST", f"{self._path}/toxics", toxic)


class Toxiproxy:
    """Its server, for as long as a `with` lasts."""

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir

    def __enter__(self) -> Self:
        (port,) = free_ports(1)
        self._api = f"http://{LOOPBACK}:{port}"
        command = [_binary(), "-host", LOOPBACK, "-port", str(port)]
        child = Child("Toxiproxy", command, self._log_dir / "toxiproxy.log")
        self._child = child.once(lambda: is_open(port), _READY_S)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._child.stop()

    def proxy(self, name: str, upstream_port: int) -> Proxy:
        """A new one in front of a port of this machine."""
        return Proxy(self._api, name, upstream_port)


def has_toxiproxy() -> bool:
    """True where there is a binary."""
    return _found() is not None


def _binary() -> str:
    found = _found()
    if found is None:
        raise EndcapError(_MISSING)
    return found


def _found() -> str | None:
    named = os.environ.get("TOXIPROXY")
    return named or shutil.which(_BINARY)


def _ask(method: str, url: str, body: Mapping[str, Any] | None = None) -> Any:
    request = urllib.request.Request(  # noqa: S310 - of the server just started
        url,
        None if body is None else msgspec.json.encode(body),
        {"Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310
            said = answer.read()
    except urllib.error.HTTPError as error:
        raise EndcapError(f"Toxiproxy refused {method} {url}: {error.read()!r}.") from error
    return msgspec.json.decode(said) if said else None
