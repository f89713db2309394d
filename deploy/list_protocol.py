"""uvicorn's HTTP, which asks the layers before the application whether they answer at once.

It stands where uvicorn makes a task of a request, and answers by the request's own `send`: parsing,
pipelining, keep-alive, headers and shutdown stay uvicorn's. A uvicorn that has no such place any
more makes a task of each request, as this does of those that cannot be answered at once.
"""

import logging
from collections.abc import Coroutine
from typing import Any, cast

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from endcap.serving.at_once import AtOnce
from endcap.serving.front import LIST_PREFIX, answer_json

log = logging.getLogger(__name__)


class ListProtocol(HttpToolsProtocol):
    """A connection of a client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        layer: Any = self.config.app
        self._layer: AtOnce | None = layer if hasattr(layer, "begin") else None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        layer, scope = self._layer, cast(Scope, cycle.scope)
        # For requests that it refuses itself uvicorn has other applications.
        is_asked = layer is not None and app is self.app and scope["path"].startswith(LIST_PREFIX)
        if not (is_asked and layer.begin(scope, _Begun(self, cycle))):
            self.start_task(cycle, app)

    def start_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """As uvicorn does it."""
        super()._start_asgi_task(cycle, app)


class _Begun:
    """See `Begun`."""

    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: ListProtocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle

    def finish(self, body: bytes) -> None:
        cycle = self._cycle
        if cycle.flow.write_paused:  # who asks is slow to read: that has to be waited for
            self._protocol.start_task(cycle, _said(body))
            return
        try:
            _drive(answer_json(cast(Send, cycle.send), body))
        except Exception:
            # Redis' connection, which has called, is not to end for this one.
            log.exception("A list could not be sent")
            cycle.transport.close()
        cycle.on_response = _nothing  # as after a task: it would hold the connection

    def go_on(self) -> None:
        self._protocol.start_task(self._cycle, self._protocol.app)


def _drive(answer: Coroutine[Any, Any, None]) -> None:
    """To its end, without waiting anywhere."""
    try:
        answer.send(None)
    except StopIteration:
        return
    answer.close()
    raise RuntimeError("Sending had to wait.")


def _said(body: bytes) -> Any:
    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        await answer_json(send, body)

    return answer


def _nothing() -> None:
    """None."""
