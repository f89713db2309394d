"""`POST` of events and impressions: into Kafka, answered when the broker has them."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import msgspec
from fastapi import FastAPI, Request, Response
from prometheus_client import Counter

from endcap.events import Event, parse_event
from endcap.experiments import encode_impression
from endcap.pseudonyms import Naming, renamed
from endcap.serving.answers import Accepted, answer
from endcap.serving.bodies import read_body
from endcap.serving.impression_body import MAX_IMPRESSIONS, PostedImpression, parse_impression
from endcap.serving.openapi import answered, one_or_many, posted, ref
from endcap.serving.posted_rows import Kind, Parsed, WrongRowsError, parse_rows
from endcap.serving.problems import problem

_T = TypeVar("_T")
DENIED_ROWS = Counter(
    "endcap_http_consent_denied_total", "Posted rows that were dropped, of shoppers who refused"
)
MAX_BODY_BYTES = 256 * 1024
MAX_EVENTS = 500
_EVENT = Kind("event", MAX_EVENTS)
_IMPRESSION = Kind("impression", MAX_IMPRESSIONS)
_NOW_MS = int(time.time() * 1000)
"""Who tries the examples must not learn that last year's events are late."""
_VIEW = {
    "event_id": "5f0c1a",
    "user_id": "1364",
    "event_name": "view_item",
    "timestamp_ms": _NOW_MS,
    "items": [{"item_id": "1029743"}],
}
_SHOWN = {
    "impression_id": "9b2f",
    "user_id": "1364",
    "kind": "shown",
    "placement": "home",
    "items": [{"id": "1082185", "position": 1}],
    "list_version": 131,
    "model": "completejourney",
    "timestamp_ms": _NOW_MS,
}


class EventSink(Protocol):
    """Where events go."""

    async def send_all(self, events: Sequence[Event]) -> None:
        """Returns when all are safe."""
        ...


class RecordSink(Protocol):
    """Where records of another topic go."""

    async def send_all(self, records: Sequence[tuple[str, bytes]]) -> None:
        """Keys and values; returns when all are safe."""
        ...


def add_posting(
    app: FastAPI,
    events: EventSink,
    impressions: RecordSink | None,
    name: Naming | None = None,
) -> None:
    """The two routes; `name` makes pseudonyms of ids. Bodies are read whatever their content type
    says: a beacon's is text."""

    @app.post(
        "/v1/events",
        tags=["events"],
        status_code=202,
        responses=answered(ref(Accepted), {"accepted": 2}, 413, 422, 503, status=202),
        openapi_extra=posted(
            one_or_many(Event, MAX_EVENTS), {"one": _VIEW, "batch": [_VIEW]}, is_beacon=True
        ),
    )
    async def post_events(request: Request) -> Response:
        """One event or an array of at most 500; 202 when the broker has them all. After a 503 send
        all of them again with the same ids: those that had arrived change nothing."""
        body = await read_body(request, MAX_BODY_BYTES)
        try:
            parsed = parse_rows(body, parse_event, _EVENT)
        except WrongRowsError as error:
            return error.answer()

        async def send(rows: Sequence[Event]) -> None:
            await events.send_all(rows if name is None else [renamed(row, name) for row in rows])

        return await _taken(parsed, send)

    @app.post(
        "/v1/impressions",
        tags=["events"],
        status_code=202,
        responses=answered(ref(Accepted), {"accepted": 1}, 404, 413, 422, 503, status=202),
        openapi_extra=posted(
            one_or_many(PostedImpression, MAX_IMPRESSIONS),
            {"shown": _SHOWN, "clicked": [_SHOWN | {"kind": "clicked"}]},
            is_beacon=True,
        ),
    )
    async def post_impressions(request: Request) -> Response:
        """What was shown, or clicked; one or an array of at most 100. 202 when the broker has them
        all. A repeat of an `impression_id` with the same `kind` is counted once."""
        if impressions is None:
            return problem(404, "Not switched on", "This server takes no impressions.")
        body = await read_body(request, MAX_BODY_BYTES)
        try:
            parsed = parse_rows(body, parse_impression, _IMPRESSION)
        except WrongRowsError as error:
            return error.answer()

        async def send(rows: Sequence[PostedImpression]) -> None:
            await impressions.send_all([_impression(row, name) for row in rows])

        return await _taken(parsed, send)


def _impression(row: PostedImpression, name: Naming | None) -> tuple[str, bytes]:
    """Key and value; whether there was consent has been asked already."""
    user_id = row.user_id if name is None else name(row.user_id)
    kept = msgspec.structs.replace(row, user_id=user_id, consent=None)
    return user_id, encode_impression(kept)


async def _taken(
    parsed: Parsed[_T], send_all: Callable[[Sequence[_T]], Awaitable[None]]
) -> Response:
    """What may be kept goes to the broker."""
    DENIED_ROWS.inc(parsed.denied)
    if parsed.rows:
        await send_all(parsed.rows)
    return answer(Accepted(len(parsed.rows), parsed.denied), 202)
