"""/metrics and /healthz of a process that has no HTTP of its own.

/metrics is answered by a thread, so it answers while the process does nothing any more. /healthz
asks the event loop: it is 503 where the loop has not turned for `STALE_S`, which is what a liveness
probe has to know.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

STALE_S = 30.0
"""A worker that reads a million sessions back is busy for seconds, not for half a minute."""
_BEAT_S = 1.0


class Heartbeat:
    """When the event loop turned last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def beat_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Now, and every second from now on while the loop runs."""
        self._last = self._clock()
        loop.call_later(_BEAT_S, self.beat_on, loop)

    @property
    def age_s(self) -> float:
        """Seconds since then."""
        return self._clock() - self._last


def serve_health_and_metrics(host: str, port: int) -> None:
    """Answer both in a thread for as long as the process runs; called in the running loop.

    Raises:
        OSError: the port is taken.
    """
    heart = Heartbeat()
    kind = _SixServer if ":" in host else ThreadingWSGIServer
    server = make_server(host, port, health_and_metrics(heart), kind, handler_class=_Silent)
    heart.beat_on(asyncio.get_running_loop())
    threading.Thread(target=server.serve_forever, daemon=True).start()


def health_and_metrics(heart: Heartbeat) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """The WSGI application: /healthz by the heart, all else Prometheus' text."""
    metrics = make_wsgi_app()

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/healthz":
            found: Iterable[bytes] = metrics(environ, start_response)
            return found
        if heart.age_s < STALE_S:
            start_response("200 OK", [("Content-Type", "application/json")])
            return [b'{"status":"ok"}']
        start_response("503 Service Unavailable", [("Content-Type", "application/json")])
        return [b'{"status":"stalled","seconds":%d}' % heart.age_s]

    return answer


class _SixServer(ThreadingWSGIServer):
    """On an address of IPv6, such as `::`."""

    address_family = socket.AF_INET6


class _Silent(WSGIRequestHandler):
    """A line for each scrape is no news."""

    def log_message(self, format: str, *_args: Any) -> None:
        """None."""
