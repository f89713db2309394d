"""A line for each request, and an id by which all lines of one request are found.

An ASGI layer, built only where logs are structured. A line has the route, never the path: a path
holds a user id.
"""

import logging
import re
import time
from contextvars import ContextVar
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from endcap.serving.front import HEALTH_ROUTE, LIST_ROUTE

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
HEADER = b"x-request-id"
_FINE = re.compile(rb"[A-Za-z0-9-]{8,64}")
"""What comes from outside goes into a log only in this form."""
log = logging.getLogger("endcap.requests")


class RequestLog:
    """Outermost: what is refused has its line as well."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Its id is the caller's where that has the right form, else a new one; the
        answer has it as `X-Request-Id`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = dict(scope["headers"]).get(HEADER, b"")
        own = asked if _FINE.fullmatch(asked) else uuid4().hex.encode()
        token, started, status = REQUEST_ID.set(own.decode()), time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (HEADER, own)]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            log.info(
                "answered",
                extra={
                    "method": scope["method"],
                    "route": route_of(scope),
                    "status": status,
                    "took_ms": round((time.perf_counter() - started) * 1000, 3),
                },
            )
            REQUEST_ID.reset(token)


def route_of(scope: Scope) -> str:
    """The route's template; FastAPI sets it, the front that answers ready lists does not."""
    route = scope.get("route")
    if route is not None:
        return str(getattr(route, "path", "unmatched"))
    path: str = scope["path"]
    if path == HEALTH_ROUTE:
        return HEALTH_ROUTE
    return LIST_ROUTE if path.startswith(LIST_ROUTE.removesuffix("{user}")) else "unmatched"
