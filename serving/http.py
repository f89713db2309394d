"""HTTP over the same contracts: lists, events, people's data, and the storefront page.

Errors are problem+json (RFC 9457) and say what to do. Each group of routes has a module.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, NamedTuple

from fastapi import Depends, FastAPI, Query, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from endcap.pseudonyms import Naming
from endcap.serving.answers import Healthy, Ready, answer, json_body
from endcap.serving.assistant_route import Answerer, add_assistant, add_shop_tokens
from endcap.serving.front import HEALTH_ROUTE, HEALTHY, Front
from endcap.serving.guard import Access, Guard
from endcap.serving.kept_list import KeptList
from endcap.serving.known_parameters import refuse_unknown_parameters
from endcap.serving.list_reader import ListReader
from endcap.serving.list_routes import add_lists
from endcap.serving.office_desks import Office
from endcap.serving.office_routes import add_office
from endcap.serving.openapi import DescribedApp, answered, ref
from endcap.serving.person_routes import Erasures, add_people
from endcap.serving.placements import DEFAULTS, Placement
from endcap.serving.posting_routes import (
    MAX_BODY_BYTES,
    MAX_EVENTS,
    EventSink,
    RecordSink,
    add_posting,
)
from endcap.serving.problems import answer_with_problems
from endcap.serving.pseudonym_door import PseudonymDoor
from endcap.serving.request_count import CountRequests
from endcap.serving.request_log import RequestLog
from endcap.serving.rescore_queue import Scoring
from endcap.serving.rescore_route import add_rescoring
from endcap.serving.ruled_lists import RuledLists
from endcap.serving.segment_route import SegmentReader, add_segments
from endcap.serving.sessions_port import SessionReader
from endcap.serving.shop_page import add_no_page
from endcap.serving.shop_routes import Shop, add_shop
from endcap.serving.shop_window import ShopWindow
from endcap.serving.shopper_tokens import ShopperTokens

__all__ = ["MAX_BODY_BYTES", "MAX_EVENTS", "Options", "create_app"]

_SAYS = "Lists, events and people's data. Errors are problem+json (RFC 9457)."


class Options(NamedTuple):
    """What a server may have beside lists, events and sessions.

    `queue`: scores on request. `kept`: the trending list for when the store is away; without, one
    that nothing refreshes. `origins`: of other sites whose pages may call this one. `shop`: the
    demo's, with its page. `answerer`: the assistant; `tokens`: who its shoppers are. `segments`: of
    shoppers, where marketing keeps them. `office`: the back office, with its page.
    `naming`: makes pseudonyms of shoppers' ids, in what is posted and in addresses.
    `has_log`: a line for each request. `spans`: a layer that makes a span of each.
    """

    queue: Scoring | None = None
    impressions: RecordSink | None = None
    erasures: Erasures | None = None
    kept: KeptList | None = None
    placements: Mapping[str, Placement] = DEFAULTS
    access: Access = Access()
    origins: Sequence[str] = ()
    shop: Shop | None = None
    answerer: Answerer | None = None
    tokens: ShopperTokens | None = None
    segments: SegmentReader | None = None
    office: Office | None = None
    naming: Naming | None = None
    has_log: bool = False
    spans: Callable[[ASGIApp], ASGIApp] | None = None


_PLAIN = Options()


def create_app(
    lists: RuledLists,
    events: EventSink,
    sessions: SessionReader,
    options: Options = _PLAIN,
) -> ASGIApp:
    """The application over its ports."""
    app = DescribedApp(
        title="endcap",
        version="1",
        description=_SAYS,
        docs_url="/docs",
        redoc_url=None,
        dependencies=[Depends(refuse_unknown_parameters)],
    )
    app.has_keys = options.access.keys is not None
    kept = options.kept or KeptList(lists)
    window = ShopWindow(lists, kept)
    answer_with_problems(app)
    add_lists(app, window, sessions, options.placements)
    add_rescoring(app, window, options.queue)
    add_posting(app, events, options.impressions, options.naming)
    add_people(app, lists, sessions, options.erasures)
    add_assistant(app, options.answerer, options.tokens, options.naming)
    add_segments(app, options.segments)
    add_office(app, options.office)
    _add_operations(app, lists, kept)
    if options.shop is None:
        add_no_page(app)
    else:
        add_shop(app, options.shop, window, lists, sessions)
        add_shop_tokens(app, options.answerer is not None, options.tokens)
    front: ASGIApp = Front(window, CountRequests(app))
    if options.naming is not None:
        front = PseudonymDoor(front, options.naming)
    guarded: ASGIApp = front if options.access.is_open else Guard(front, options.access)
    # So far all may answer at once (`AtOnce`); what stands before them wants to see each answer.
    if options.spans is not None:
        guarded = options.spans(guarded)
    if options.has_log:
        guarded = RequestLog(guarded)
    return _shared(guarded, options.origins) if options.origins else guarded


def _shared(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Outermost: a browser asks for leave without a key, and wants to read refusals too."""
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "X-API-Key"],
        expose_headers=["Retry-After"],
    )


def _add_operations(app: FastAPI, lists: ListReader, kept: KeptList) -> None:
    @app.get(
        "/v1/shoppers",
        tags=["people"],
        responses=answered({"type": "array", "items": {"type": "string"}}, ["1364"], 422, 503),
    )
    async def shoppers(limit: Annotated[int, Query(ge=1, le=200)] = 20) -> list[str]:
        """Some shoppers that have a list: for the storefront's menu."""
        return await lists.some_users(limit)

    @app.get(HEALTH_ROUTE, tags=["operations"], responses=answered(ref(Healthy), {"status": "ok"}))
    async def healthz() -> Response:
        """The process runs."""
        return json_body(HEALTHY)

    unready = {"description": "The store does not answer, and nothing is kept"}
    content = {"content": {"application/json": {"schema": ref(Ready)}}}

    @app.get(
        "/readyz",
        tags=["operations"],
        responses=answered(ref(Ready), {"store": True, "kept": True}) | {503: unready | content},
    )
    async def readyz() -> Response:
        """Lists can be shown: the store answers, or a trending list is kept. A server that can
        answer without its store is not to be taken out of service for it."""
        said = Ready(await lists.ping(), kept.now is not None)
        return answer(said, 200 if said.store or said.kept else 503)

    @app.get(
        "/metrics",
        tags=["operations"],
        response_class=Response,
        responses={
            200: {
                "description": "Prometheus' text format",
                "content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}},
            }
        },
    )
    async def metrics() -> Response:
        """Prometheus' text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
