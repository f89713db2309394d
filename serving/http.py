"""HTTP over the same contracts: read lists, send events, and the storefront page.

Errors are problem+json (RFC 9457) and say what to do.
"""

import time
from pathlib import Path
from typing import Protocol

import msgspec
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp

from endcap.errors import InvalidEventError
from endcap.events import Event, EventType, parse_event
from endcap.serving.bodies import read_body
from endcap.serving.fallback import Where
from endcap.serving.front import HEALTH_ROUTE, HEALTHY, LIST_ROUTE, Front
from endcap.serving.problems import answer_with_problems, problem
from endcap.serving.request_count import CountRequests
from endcap.serving.rescore_queue import RescoreQueue
from endcap.serving.rescore_route import add_rescoring, json_body
from endcap.serving.shop_window import ListReader, ShopWindow
from endcap.sessions import Session

MAX_BODY_BYTES = 256 * 1024
MAX_EVENTS = 500
_NAMES = {kind.code: kind.value for kind in EventType}
_PAGE = Path(__file__).parent / "storefront" / "index.html"


class EventSink(Protocol):
    """Where events go."""

    async def send(self, event: Event) -> None:
        """Returns when the event is safe."""
        ...


class SessionReader(Protocol):
    """Where session state is read."""

    async def session(self, user_id: str) -> Session | None:
        """A user's newest session."""
        ...


def create_app(
    lists: ListReader,
    events: EventSink,
    sessions: SessionReader,
    queue: RescoreQueue | None = None,
) -> ASGIApp:
    """The application over its ports; with a `queue` it scores on request too."""
    app = FastAPI(title="endcap", version="1", docs_url="/docs", redoc_url=None)
    window = ShopWindow(lists)
    answer_with_problems(app)
    add_rescoring(app, window, queue)

    @app.get(LIST_ROUTE)
    async def recommendations(
        user: str, category: str = "", store: str = "", now: bool = False
    ) -> Response:
        """The shopper's own list, else what is trending where they are; `source` says which."""
        own = await window.own(user)
        return await _trending(Where(category, store, now)) if own is None else json_body(own)

    @app.get("/v1/trending")
    async def trending() -> Response:
        """The fallback for everybody."""
        return await _trending(Where())

    async def _trending(where: Where) -> Response:
        found = await window.trending(where)
        if found is None:
            return problem(
                503,
                "No list yet",
                "Nothing is trending yet: start `endcap rescore` and `endcap trends`.",
                {"Retry-After": "5"},
            )
        return json_body(found)

    @app.post("/v1/events")
    async def post_events(request: Request) -> Response:
        """One event or a list of at most 500; 202 when the broker has them all."""
        body = await read_body(request, MAX_BODY_BYTES)
        try:
            parsed = _parse(body)
        except InvalidEventError as error:
            return problem(422, "Invalid event", str(error))
        for event in parsed:
            await events.send(event)
        return JSONResponse({"accepted": len(parsed)}, 202)

    @app.get("/v1/users/{user}/session")
    async def session(user: str) -> Response:
        """What the stream knows of a shopper right now, newest first."""
        held = await sessions.session(user)
        if held is None:
            return problem(404, "No session", "This shopper has no session yet.")
        known = await lists.items([past.item_id for past in held.history])
        return JSONResponse(
            {
                "user_id": held.user_id,
                "events_folded": held.events_folded,
                "cart": list(held.cart),
                "interactions": [
                    {
                        "id": past.item_id,
                        "event_name": _NAMES[past.type_code],
                        "timestamp_ms": past.timestamp_ms,
                        "title": known[past.item_id].title if past.item_id in known else "",
                    }
                    for past in reversed(held.history)
                ],
            }
        )

    @app.get("/v1/shoppers")
    async def shoppers(limit: int = Query(default=20, ge=1, le=200)) -> list[str]:
        """Some shoppers that have a list: for the storefront's menu."""
        return await lists.some_users(limit)

    @app.get(HEALTH_ROUTE)
    async def healthz() -> Response:
        """The process runs."""
        return json_body(HEALTHY)

    @app.get("/readyz")
    async def readyz() -> Response:
        """The store answers."""
        ready = await lists.ping()
        return JSONResponse({"store": ready}, 200 if ready else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Prometheus' text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/", include_in_schema=False)
    async def storefront() -> Response:
        return FileResponse(_PAGE)

    return Front(window, CountRequests(app))


def _parse(body: bytes) -> list[Event]:
    now_ms = int(time.time() * 1000)
    if not body.lstrip().startswith(b"["):
        return [parse_event(body, now_ms)]
    try:
        rows = msgspec.json.decode(body, type=list[msgspec.Raw])
    except msgspec.DecodeError as error:
        raise InvalidEventError("not_json", f"The body is not JSON ({error}).") from error
    if len(rows) > MAX_EVENTS:
        raise InvalidEventError(
            "too_many", f"{len(rows)} events in one request; send at most {MAX_EVENTS}."
        )
    return [_parse_one(number, bytes(row), now_ms) for number, row in enumerate(rows)]


def _parse_one(number: int, row: bytes, now_ms: int) -> Event:
    try:
        return parse_event(row, now_ms)
    except InvalidEventError as error:
        raise InvalidEventError(error.reason, f"Event {number} of the array: {error}") from error
