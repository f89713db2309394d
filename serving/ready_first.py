"""A shopper's own list, answered before the application.

FastAPI takes longer for a request than reading, joining and encoding the list do
(docs/performance.md). Whatever is not such a list goes on to the application, which
answers by the same `ShopWindow`.
"""

import time

from starlette.types import ASGIApp, Receive, Scope, Send

from endcap.errors import ConnectionFailedError
from endcap.serving.problems import unavailable
from endcap.serving.request_count import REQUESTS, SECONDS
from endcap.serving.shop_window import ShopWindow

ROUTE = "/v1/recommendations/{user}"
_PREFIX = ROUTE.removesuffix("{user}")


class ReadyFirst:
    """An ASGI layer; what it answers it counts itself."""

    def __init__(self, window: ShopWindow, app: ASGIApp) -> None:
        self._window = window
        self._app = app
        self._answered = REQUESTS.labels(ROUTE, "200")
        self._seconds = SECONDS.labels(ROUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        user = _whose(scope)
        if not user:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        try:
            body = await self._window.own(user)
        except ConnectionFailedError as error:
            REQUESTS.labels(ROUTE, "503").inc()
            await unavailable(error)(scope, receive, send)
            return
        if body is None:
            await self._app(scope, receive, send)
            return
        headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._answered.inc()
        self._seconds.observe(time.perf_counter() - started)


def _whose(scope: Scope) -> str:
    """The user whose list is asked for; "" where something else is."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return ""
    path: str = scope["path"]
    if not path.startswith(_PREFIX):
        return ""
    user = path[len(_PREFIX) :]
    return "" if "/" in user else user
