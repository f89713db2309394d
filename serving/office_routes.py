"""The back office, `/office`: its page, and the routes that the page asks.

Where API keys are on, the page's files are open and hold nobody's data, and all of `/office/data`
wants the role `operator`. The routes are the page's own, and not in the API's document.
"""

from collections.abc import Awaitable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import FastAPI, Query, Request, Response
from msgspec import Meta

from endcap.decoding import decode_with
from endcap.errors import ConnectionFailedError, EndcapError
from endcap.events import MAX_ID_LENGTH
from endcap.prices import PriceProposalError
from endcap.serving.answers import json_body
from endcap.serving.bodies import read_body
from endcap.serving.list_routes import Id
from endcap.serving.office_desks import Decision, Objective, Office
from endcap.serving.page_files import PageFiles
from endcap.serving.problems import problem
from endcap.serving.shop_page import FOLDER as STOREFRONT

FOLDER = Path(__file__).parent / "office"
MAX_BODY_BYTES = 4096
_SHARED = ("style.css", "dom.js", "mark.svg")
"""Of the storefront: where keys are on, that has no page."""
_Category = Annotated[str, Query(min_length=1, max_length=MAX_ID_LENGTH)]
_Who = Annotated[str, Meta(min_length=1, max_length=100)]
_T = TypeVar("_T")


class Proposed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A suggestion that shall wait for approval; `suggestion_id`: of the one that was seen."""

    category: str
    objective: Objective
    suggestion_id: str
    who: _Who


class Decided(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall become of a proposal, and who says so."""

    decision: Decision
    who: _Who


class _RefusedError(Exception):
    """A body that cannot be taken."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


def add_office(app: FastAPI, office: Office | None) -> None:
    """The page and its routes; without an office `/office` says how to switch it on."""
    if office is None:
        _add_no_office(app)
        return
    files = PageFiles([*sorted(FOLDER.iterdir()), *(STOREFRONT / name for name in _SHARED)])

    @app.get("/office", include_in_schema=False)
    async def page(request: Request) -> Response:
        return files.answer("office.html", request)

    @app.get("/office/page/{name}", include_in_schema=False)
    async def part(name: str, request: Request) -> Response:
        return files.answer(name, request)

    _add_prices(app, office)
    _add_shoppers(app, office)
    _add_status(app, office)


def _add_prices(app: FastAPI, office: Office) -> None:
    desk = office.prices

    @app.get("/office/data/prices", include_in_schema=False)
    async def categories() -> Response:
        return await _told(desk.categories())

    @app.get("/office/data/prices/elasticities", include_in_schema=False)
    async def elasticities(category: _Category) -> Response:
        return await _told(desk.elasticities(category))

    @app.get("/office/data/prices/suggestions", include_in_schema=False)
    async def suggestions(category: _Category, objective: Objective = "margin") -> Response:
        return await _told(desk.suggestions(category, objective))

    @app.get("/office/data/prices/proposals", include_in_schema=False)
    async def proposals() -> Response:
        return await _told(desk.proposals())

    @app.post("/office/data/prices/proposals", include_in_schema=False)
    async def propose(request: Request) -> Response:
        try:
            body = await _body(request, Proposed)
        except _RefusedError as refused:
            return refused.answer
        return await _told(
            desk.propose(body.category, body.objective, body.suggestion_id, body.who)
        )

    @app.post("/office/data/prices/proposals/{proposal}", include_in_schema=False)
    async def decide(proposal: Id, request: Request) -> Response:
        try:
            body = await _body(request, Decided)
        except _RefusedError as refused:
            return refused.answer
        return await _told(desk.decide(proposal, body.decision, body.who))


def _add_shoppers(app: FastAPI, office: Office) -> None:
    @app.get("/office/data/segments", include_in_schema=False)
    async def counts() -> Response:
        return await _told(office.segments.counts())

    @app.get("/office/data/segments/{user}", include_in_schema=False)
    async def segment(user: Id) -> Response:
        return await _told(_found(office.segments.segment(user)))

    @app.get("/office/data/conversations", include_in_schema=False)
    async def conversations(hand_overs_alone: bool = False) -> Response:
        return await _told(office.conversations.newest(hand_overs_alone))


def _add_status(app: FastAPI, office: Office) -> None:
    @app.get("/office/data/status", include_in_schema=False)
    async def status() -> Response:
        return await _told(office.status.now())

    @app.get("/office/data/experiments/{name}", include_in_schema=False)
    async def experiment(name: Id) -> Response:
        return await _told(office.status.experiment(name))


def _add_no_office(app: FastAPI) -> None:
    @app.get("/office", include_in_schema=False)
    async def nothing() -> Response:
        return problem(
            404,
            "No back office",
            "This server shows none: set ENDCAP_HTTP_OFFICE=true and start it anew "
            "(docs/office.md).",
        )


async def _told(asked: Awaitable[Any]) -> Response:
    """What a desk says; its refusals as problems."""
    try:
        return json_body(msgspec.json.encode(await asked), headers={"Cache-Control": "no-store"})
    except ConnectionFailedError:
        raise  # answered as everywhere: 503
    except PriceProposalError as error:
        return problem(409, "Not possible now", str(error))
    except EndcapError as error:
        return problem(422, "Not possible", str(error))


async def _found(asked: Awaitable[dict[str, Any] | None]) -> dict[str, Any]:
    return {"found": await asked}


async def _body(request: Request, form: type[_T]) -> _T:
    """The body as `form`.

    A page of another site can send no `application/json` without this server's leave, so it cannot
    change a price behind an operator's back, not even where no keys are on.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _RefusedError(
            problem(415, "Not JSON", "Send the body with `Content-Type: application/json`.")
        )
    try:
        return decode_with(msgspec.json.Decoder(form), await read_body(request, MAX_BODY_BYTES))
    except msgspec.DecodeError as error:
        raise _RefusedError(problem(422, "Invalid request", f"{error}.")) from error
