"""Every request counted and timed, by its route: a path holds a user id, a route does not."""

import time

from prometheus_client import Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from endcap.histogram_buckets import FROM_A_TENTH_MS_S
from endcap.serving.loop_histogram import LoopHistogram

REQUESTS = Counter("endcap_http_requests_total", "Requests answered", ["route", "status"])
SECONDS = LoopHistogram(
    "endcap_http_request_seconds",
    "From request to answer",
    FROM_A_TENTH_MS_S,
    "route",
)


class CountRequests:
    """An ASGI layer around what sets `route` in the scope."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; an answer that never began counts as 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            REQUESTS.labels(route, str(status)).inc()
            SECONDS.labels(route).observe(time.perf_counter() - started)
