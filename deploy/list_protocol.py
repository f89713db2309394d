"""uvicorn's HTTP, which asks the layers before the application whether they answer at once.

It stands where uvicorn makes a task of a request; parsing, pipelining, keep-alive and shutdown stay
uvicorn's. What is not answered at once goes by a task as ever, and so does what needs more than to
be written: to a client that is slow to read, or whose connection is to end. A uvicorn that has no
such place any more makes a task of each request.
"""

from typing import Any, cast

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from endcap.serving.at_once import AtOnce
from endcap.serving.front import LIST_PREFIX, answer_json


class ListProtocol(HttpToolsProtocol):
    """A connection of a client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        layer: Any = self.config.app
        self._layer: AtOnce | None = layer if hasattr(layer, "begin") else None
        self._headers: list[tuple[bytes, bytes]] | None = None
        self._head = b""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        layer, scope = self._layer, cast(Scope, cycle.scope)
        # For requests that it refuses itself uvicorn has other applications.
        if (
            layer is None
            or app is not self.app
            or not scope["path"].startswith(LIST_PREFIX)
            or not layer.begin(scope, _Begun(self, cycle))
        ):
            self.start_task(cycle, app)

    def start_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """As uvicorn does it."""
        super()._start_asgi_task(cycle, app)

    def head(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Of an answer, up to its length; uvicorn makes its own headers anew every second."""
        if headers is not self._headers:
            own = b"".join(b"%b: %b\r\n" % header for header in headers)
            self._headers, self._head = headers, b"HTTP/1.1 200 OK\r\n" + own + b"content-length: "
        return self._head


class _Begun:
    """See `Begun`."""

    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: ListProtocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle

    def finish(self, body: bytes) -> None:
        cycle = self._cycle
        if (
            not cycle.keep_alive
            or cycle.disconnected
            or cycle.flow.write_paused
            or cycle.access_log
        ):
            self._protocol.start_task(cycle, _said(body))
            return
        # As the cycle's own `send` leaves it, which looks at every header for each answer.
        cycle.response_started = cycle.response_complete = True
        head = self._protocol.head(cycle.default_headers)
        rest = b"%d\r\ncontent-type: application/json\r\n\r\n" % len(body)
        cycle.transport.write(b"".join((head, rest, body)))
        cycle.message_event.set()
        cycle.on_response()
        cycle.on_response = _nothing  # as after a task: it would hold the connection

    def go_on(self) -> None:
        self._protocol.start_task(self._cycle, self._protocol.app)


def _said(body: bytes) -> Any:
    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        await answer_json(send, body)

    return answer


def _nothing() -> None:
    """None."""
