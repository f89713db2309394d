"""/metrics and /healthz of a process that has no HTTP of its own.

/metrics is answered by a thread, so it answers while the process does nothing any more. /healthz
asks the event loop: it is 503 where the loop has not turned for `STALE_S`, which is what a liveness
probe has to know.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from endcap.deploy.heartbeat import Heartbeat
from endcap.deploy.metrics_beside import Beside, SilentProcessError, Summed

STALE_S = 30.0
"""A worker that reads a million sessions back is busy for seconds, not for half a minute."""


def serve_health_and_metrics(host: str, port: int, beside: Beside | None = None) -> None:
    """Answer both in a thread for as long as the process runs; called in the running loop.

    `beside`: another process of the same command, whose metrics are added, and which has to be
    well too.

    Raises:
        OSError: the port is taken.
    """
    heart = Heartbeat()
    kind = _SixServer if ":" in host else ThreadingWSGIServer
    server = make_server(host, port, health_and_metrics(heart, beside), kind, handler_class=_Silent)
    heart.beat_on(asyncio.get_running_loop())
    threading.Thread(target=server.serve_forever, daemon=True).start()


def health_and_metrics(
    heart: Heartbeat, beside: Beside | None = None
) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """The WSGI application: /healthz by the heart, all else Prometheus' text."""
    registry = REGISTRY
    if beside is not None:
        registry = CollectorRegistry()
        registry.register(Summed(REGISTRY, beside))
    metrics = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/healthz":
            found: Iterable[bytes] = metrics(environ, start_response)
            return found
        try:
            age_s = max(heart.age_s, beside.age_s() if beside else 0.0)
        except SilentProcessError:
            age_s = STALE_S
        if age_s < STALE_S:
            start_response("200 OK", [("Content-Type", "application/json")])
            return [b'{"status":"ok"}']
        start_response("503 Service Unavailable", [("Content-Type", "application/json")])
        return [b'{"status":"stalled","seconds":%d}' % age_s]

    return answer


class _SixServer(ThreadingWSGIServer):
    """On an address of IPv6, such as `::`."""

    address_family = socket.AF_INET6


class _Silent(WSGIRequestHandler):
    """A line for each scrape is no news."""

    def log_message(self, format: str, *_args: Any) -> None:
        """None."""
