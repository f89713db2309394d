"""A person's data: shown, and erased with a receipt."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol
from urllib.parse import quote

from fastapi import FastAPI, Response

from endcap.erasure import Receipt
from endcap.errors import ConnectionFailedError
from endcap.events import EventType
from endcap.lists import RecommendationList, decode_list
from endcap.serving.answers import (
    Bought,
    ErasureAsked,
    ErasureShown,
    ListedItem,
    ListShown,
    PersonShown,
    SessionItem,
    SessionShown,
    answer,
)
from endcap.serving.list_reader import ListReader
from endcap.serving.list_routes import Id
from endcap.serving.openapi import answered, ref
from endcap.serving.problems import problem
from endcap.serving.sessions_port import SessionReader
from endcap.sessions import Session

_NAMES = {kind.code: kind.value for kind in EventType}
_SESSION = {
    "user_id": "1364",
    "events_folded": 131,
    "cart": ["1029743"],
    "interactions": [
        {"id": "1029743", "event_name": "add_to_cart", "timestamp_ms": 1764000000000, "title": ""}
    ],
}
_PERSON = {
    "user_id": "1364",
    "store": "answered",
    "sessions": "answered",
    "session": _SESSION,
    "purchased": [{"id": "1082185", "times": 7, "first_ms": 1750000000000, "last_ms": 1764000000}],
    "updated_ms": 1764000000000,
    "list": None,
}
_DONE = {
    "request_id": "5f0c1a2b3c4d",
    "is_done": True,
    "removed": {"sessions": 1, "dead_letters": 0, "contacts": 0, "lists": 1},
    "missing": [],
    "receipts": [],
}


class Answers(NamedTuple):
    """The keepers' answers to a request; `missing`: who has not answered yet."""

    receipts: Sequence[Receipt]
    missing: frozenset[str]


class Erasures(Protocol):
    """Where requests to be forgotten go, and where receipts come from."""

    async def ask(self, user_id: str) -> str:
        """Returns the request's id when it is safe."""
        ...

    async def answers(self, request_id: str) -> Answers:
        """What has been answered by now."""
        ...


def add_people(
    app: FastAPI, lists: ListReader, sessions: SessionReader, erasures: Erasures | None
) -> None:
    """The routes."""

    @app.get(
        "/v1/users/{user}/session",
        tags=["people"],
        responses=answered(ref(SessionShown), _SESSION, 404, 422, 503),
    )
    async def session(user: Id) -> Response:
        """What the stream knows of a shopper right now, newest first."""
        held = await sessions.session(user)
        if held is None:
            return problem(404, "No session", "This shopper has no session yet.")
        return answer(await _shown(held, lists))

    @app.get(
        "/v1/users/{user}",
        tags=["people"],
        responses=answered(ref(PersonShown), _PERSON, 404, 422, 503),
    )
    async def person(user: Id) -> Response:
        """What is held of a person: session, purchases, list. `store` and `sessions` say which
        could be read. `endcap user export` adds raw events and dead letters, which only a walk
        through their topics finds."""
        held, unread = await _session_of(sessions, user)
        ready, store = await _list_of(lists, user)
        if held is None and ready is None:
            if unread is not None:
                raise unread  # whether anything is held cannot be said
            if store == "answered":
                return problem(404, "Unknown person", "Nothing is held under this id.")
        return answer(
            PersonShown(
                user,
                store,
                "answered" if unread is None else "away",
                None if held is None else await _shown(held, lists),
                [Bought(p.item_id, p.times, p.first_ms, p.last_ms) for p in held.purchased]
                if held
                else [],
                held.updated_ms if held else 0,
                ready,
            )
        )

    @app.delete(
        "/v1/users/{user}",
        tags=["people"],
        status_code=202,
        responses=answered(
            ref(ErasureAsked),
            {"request_id": "5f0c1a2b3c4d", "receipt": "/v1/erasures/5f0c1a2b3c4d"},
            *(404, 422, 503),
            status=202,
            says="The request is with the broker; `Location` is where the receipt will be",
        ),
    )
    async def erase(user: Id) -> Response:
        """Erase a person and their devices everywhere, whether or not anything is known of them.
        Raw events go with their topic's retention, or by `endcap user erase --purge-events`."""
        if erasures is None:
            return _no_erasures()
        request_id = await erasures.ask(user)
        receipt = f"/v1/erasures/{quote(request_id)}"
        return answer(ErasureAsked(request_id, receipt), 202, {"Location": receipt})

    @app.get(
        "/v1/erasures/{request_id}",
        tags=["people"],
        responses=answered(ref(ErasureShown), _DONE, 404, 422, 503),
    )
    async def receipt(request_id: Id) -> Response:
        """What an erasure removed where."""
        if erasures is None:
            return _no_erasures()
        found = await erasures.answers(request_id)
        if not found.receipts:
            return problem(
                404,
                "No receipt",
                "There is none: the id is not known, or `endcap stream` has not come to it yet.",
            )
        removed: dict[str, int] = {}
        for each in found.receipts:
            for what, count in each.removed.items():
                removed[what] = removed.get(what, 0) + count
        missing = sorted(found.missing)
        return answer(ErasureShown(request_id, not missing, removed, missing, found.receipts))


async def _shown(held: Session, lists: ListReader) -> SessionShown:
    """Without titles where the store does not answer."""
    try:
        known = await lists.items([past.item_id for past in held.history])
    except ConnectionFailedError:
        known = {}
    rows = [
        SessionItem(
            past.item_id,
            _NAMES[past.type_code],
            past.timestamp_ms,
            known[past.item_id].title if past.item_id in known else "",
        )
        for past in reversed(held.history)
    ]
    return SessionShown(held.user_id, held.events_folded, held.cart, rows)


async def _session_of(
    sessions: SessionReader, user: str
) -> tuple[Session | None, ConnectionFailedError | None]:
    """And why it is not known whether there is one."""
    try:
        return await sessions.session(user), None
    except ConnectionFailedError as error:
        return None, error


async def _list_of(
    lists: ListReader, user: str
) -> tuple[ListShown | None, Literal["answered", "away"]]:
    try:
        raw = await lists.raw_list(user)
    except ConnectionFailedError:
        return None, "away"
    return (None if raw is None else _listed(decode_list(raw))), "answered"


def _listed(ready: RecommendationList) -> ListShown:
    rows = [ListedItem(item.id, item.score, item.reason) for item in ready.items]
    return ListShown(ready.version, ready.model, ready.generated_at, rows)


def _no_erasures() -> Response:
    return problem(404, "Not switched on", "This server erases nobody: `endcap user erase` does.")
