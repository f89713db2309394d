"""A span for each request: an ASGI layer, built only where traces are on."""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from endcap.serving.request_log import route_of
from endcap.traces import HEADER


class RequestSpans:
    """`tracer`: OpenTelemetry's, `extract`: a context from headers; both from `deploy`."""

    def __init__(self, app: ASGIApp, tracer: Any, extract: Any) -> None:
        self._app = app
        self._tracer = tracer
        self._extract = extract

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; named by its route: a path holds a user id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        carried = dict(scope["headers"]).get(HEADER.encode())
        parent = self._extract({HEADER: carried.decode("latin1")}) if carried else None
        with self._tracer.start_as_current_span("request", context=parent) as span:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self._app(scope, receive, noted)
            span.update_name(f"{scope['method']} {route_of(scope)}")
