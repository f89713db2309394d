"""`POST /v1/rescore`."""

import time

from fastapi import FastAPI, Request, Response

from endcap.errors import InvalidEventError
from endcap.serving.answers import json_body
from endcap.serving.bodies import read_body
from endcap.serving.field_errors import field_error
from endcap.serving.openapi import answered, posted, ref
from endcap.serving.problems import problem
from endcap.serving.rescore_queue import NoModelError, Scoring, TooManyWaitingError
from endcap.serving.rescore_request import (
    MAX_BODY_BYTES,
    RescoreRequest,
    chosen_of,
    parse_request,
    policy_of,
    session_of,
    unscored,
)
from endcap.serving.shop_window import ShopWindow
from endcap.serving.shown_list import ShownList

_ASKED = {
    "events": [
        {"item_id": "1029743", "event_name": "view_item", "timestamp_ms": 1764000000000},
    ],
    "size": 2,
}
_LIST = {
    "source": "request",
    "version": 1,
    "model": "completejourney",
    "generated_at": 1764000000123,
    "items": [{"id": "1082185", "score": 4.2, "reason": "popular right now"}],
}


def add_rescoring(app: FastAPI, window: ShopWindow, queue: Scoring | None) -> None:
    """The route; without a queue it says how to switch it on."""

    @app.post(
        "/v1/rescore",
        tags=["lists"],
        responses=answered(ref(ShownList), _LIST, 404, 413, 422, 503),
        openapi_extra=posted(ref(RescoreRequest), {"one": _ASKED}, is_beacon=False),
    )
    async def on_request(request: Request) -> Response:
        """A list for a session that the shop keeps itself; nothing of it is stored. `source` is
        `request`. Of `candidates` those are ranked that the model found worth scoring. While the
        model is missing the answer is what trends: `source` is `trending`, `kept` or `none`."""
        if queue is None:
            return problem(
                404,
                "Not switched on",
                "This server holds no model: set ENDCAP_HTTP_RESCORE=true and start it anew.",
            )
        body = await read_body(request, MAX_BODY_BYTES)
        try:
            asked = parse_request(body, int(time.time() * 1000))
        except InvalidEventError as error:
            return problem(422, "Invalid request", str(error), errors=[field_error(error)])
        try:
            ready = await queue.rescore(session_of(asked), policy_of(asked))
        except NoModelError:
            fallback = await window.for_everybody()
            instead = unscored(asked, fallback.ready)
            return json_body(await window.show(fallback.source, instead))
        except TooManyWaitingError as error:
            return problem(503, "Too many requests", str(error), {"Retry-After": "1"})
        return json_body(await window.show("request", chosen_of(asked, ready)))
