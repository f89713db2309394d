"""HTTP over the same contracts: read lists, send events, and the storefront page.

Errors are problem+json (RFC 9457) and say what to do.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

from endcap.catalogue import CatalogueItem
from endcap.errors import ConnectionFailedError, InvalidEventError
from endcap.events import Event, EventType, parse_event
from endcap.lists import RecommendationList, Shelf
from endcap.serving.fallback import Where, what_trends
from endcap.sessions import Session

MAX_BODY_BYTES = 256 * 1024
MAX_EVENTS = 500
_NAMES = {kind.code: kind.value for kind in EventType}
_PAGE = Path(__file__).parent / "storefront" / "index.html"

REQUESTS = Counter("endcap_http_requests_total", "Requests answered", ["route", "status"])
SECONDS = Histogram("endcap_http_request_seconds", "From request to answer", ["route"])


class ListReader(Protocol):
    """Where finished lists and items are read."""

    async def read(self, user_id: str) -> RecommendationList | None:
        """A user's own list."""
        ...

    async def trending(self) -> RecommendationList | None:
        """The fallback for everybody."""
        ...

    async def shelf(self, shelf: Shelf) -> RecommendationList | None:
        """One of the lists that are nobody's own."""
        ...

    async def items(self, ids: Sequence[str]) -> dict[str, CatalogueItem]:
        """Facts of several items."""
        ...

    async def some_users(self, n: int) -> list[str]:
        """Users that have a list."""
        ...

    async def ping(self) -> bool:
        """Whether the store answers."""
        ...


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


def create_app(lists: ListReader, events: EventSink, sessions: SessionReader) -> FastAPI:
    """The application over its three ports."""
    app = FastAPI(title="endcap", version="1", docs_url="/docs", redoc_url=None)

    @app.exception_handler(ConnectionFailedError)
    async def unavailable(_: Request, error: ConnectionFailedError) -> Response:
        return _problem(503, "Unavailable", str(error), {"Retry-After": "1"})

    @app.middleware("http")
    async def measure(
        request: Request, answer: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        started = time.perf_counter()
        response = await answer(request)
        # The route's pattern, never the path: a path holds a user id.
        route = getattr(request.scope.get("route"), "path", "unmatched")
        REQUESTS.labels(route, str(response.status_code)).inc()
        SECONDS.labels(route).observe(time.perf_counter() - started)
        return response

    @app.get("/v1/recommendations/{user}")
    async def recommendations(
        user: str, category: str = "", store: str = "", now: bool = False
    ) -> Response:
        """The shopper's own list, else what is trending where they are; `source` says which."""
        own = await lists.read(user)
        if own is not None:
            return await _listed(own, "own", lists)
        return await _trending(Where(category, store, now))

    @app.get("/v1/trending")
    async def trending() -> Response:
        """The fallback for everybody."""
        return await _trending(Where())

    async def _trending(where: Where) -> Response:
        found = await what_trends(lists, where)
        if found is None:
            return _problem(
                503,
                "No list yet",
                "Nothing is trending yet: start `endcap rescore` and `endcap trends`.",
                {"Retry-After": "5"},
            )
        return await _listed(found.ready, found.source, lists)

    @app.post("/v1/events")
    async def post_events(request: Request) -> Response:
        """One event or a list of at most 500; 202 when the broker has them all."""
        if int(request.headers.get("content-length") or 0) > MAX_BODY_BYTES:
            return _too_large()
        body = await request.body()
        if len(body) > MAX_BODY_BYTES:
            return _too_large()
        try:
            parsed = _parse(body)
        except InvalidEventError as error:
            return _problem(422, "Invalid event", str(error))
        for event in parsed:
            await events.send(event)
        return JSONResponse({"accepted": len(parsed)}, 202)

    @app.get("/v1/users/{user}/session")
    async def session(user: str) -> Response:
        """What the stream knows of a shopper right now, newest first."""
        held = await sessions.session(user)
        if held is None:
            return _problem(404, "No session", "This shopper has no session yet.")
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

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process runs."""
        return {"status": "ok"}

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

    return app


async def _listed(ready: RecommendationList, source: str, lists: ListReader) -> Response:
    known = await lists.items([item.id for item in ready.items])
    items: list[dict[str, Any]] = []
    for item in ready.items:
        row: dict[str, Any] = msgspec.structs.asdict(item)
        facts = known.get(item.id)
        if facts is not None:
            row |= {"title": facts.title, "category": facts.category, "price": facts.price}
        items.append(row)
    return JSONResponse(
        {
            "source": source,
            "version": ready.version,
            "model": ready.model,
            "generated_at": ready.generated_at,
            "items": items,
        }
    )


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


def _too_large() -> Response:
    return _problem(
        413, "Body too large", f"At most {MAX_BODY_BYTES} bytes a request; send smaller batches."
    )


def _problem(
    status: int, title: str, detail: str, headers: dict[str, str] | None = None
) -> Response:
    return JSONResponse(
        {"title": title, "status": status, "detail": detail},
        status,
        headers,
        media_type="application/problem+json",
    )
