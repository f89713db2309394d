"""What is answered before the application: a shopper's own list, and that the process runs.

FastAPI takes longer for a request than reading, joining and encoding the list do
(docs/performance.md). All else goes on to the application, which answers by the same `ShopWindow`.
"""

import time

from starlette.types import ASGIApp, Receive, Scope, Send

from endcap.errors import ConnectionFailedError
from endcap.serving.at_once import Begun
from endcap.serving.request_count import REQUESTS, SECONDS
from endcap.serving.shop_window import ShopWindow

LIST_ROUTE = "/v1/recommendations/{user}"
HEALTH_ROUTE = "/healthz"
HEALTHY = b'{"status":"ok"}'
LIST_PREFIX = LIST_ROUTE.removesuffix("{user}")


class Front:
    """An ASGI layer; what it answers it counts itself."""

    def __init__(self, window: ShopWindow, app: ASGIApp) -> None:
        self.application = app
        self._window = window
        self._lists = _Counted(LIST_ROUTE)
        self._health = _Counted(HEALTH_ROUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.application(scope, receive, send)
            return
        started = time.perf_counter()
        path: str = scope["path"]
        if path == HEALTH_ROUTE:
            await answer_json(send, HEALTHY)
            self._health.since(started)
            return
        user = _user_of(scope)
        if not user:
            await self.application(scope, receive, send)
            return
        try:
            body = await self._window.own(user)
        except ConnectionFailedError:
            body = None  # the application knows what is kept for this
        if body is None:
            await self.application(scope, receive, send)
            return
        await answer_json(send, body)
        self._lists.since(started)

    def begin(self, scope: Scope, begun: Begun) -> bool:
        """See `AtOnce`: a list, all of whose items are known."""
        user = _user_of(scope) if scope["method"] == "GET" else ""
        if not user:
            return False
        started = time.perf_counter()

        def heard(body: bytes | None) -> None:
            if body is None:
                begun.go_on()
            else:
                begun.finish(body)
                self._lists.since(started)

        return self._window.tell_own(user, heard)


def _user_of(scope: Scope) -> str:
    """Whose list is asked for, without anything beside; empty: no such list."""
    path: str = scope["path"]
    user = path.removeprefix(LIST_PREFIX)
    return "" if user == path or "/" in user or scope["query_string"] else user


class _Counted:
    """Labels are looked up once, not by each request."""

    def __init__(self, route: str) -> None:
        self._answered = REQUESTS.labels(route, "200")
        self._seconds = SECONDS.labels(route)

    def since(self, started: float) -> None:
        self._answered.inc()
        self._seconds.observe(time.perf_counter() - started)


async def answer_json(send: Send, body: bytes) -> None:
    """200, with this."""
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
