"""`POST /v1/rescore`."""

import time
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response

from endcap.errors import InvalidEventError
from endcap.serving.bodies import read_body
from endcap.serving.problems import problem
from endcap.serving.rescore_queue import RescoreQueue, TooManyWaitingError
from endcap.serving.rescore_request import (
    MAX_BODY_BYTES,
    RescoreRequest,
    chosen_of,
    parse_request,
    policy_of,
    session_of,
)
from endcap.serving.shop_window import ShopWindow


def json_body(body: bytes) -> Response:
    """JSON that is encoded already."""
    return Response(body, media_type="application/json")


def add_rescoring(app: FastAPI, window: ShopWindow, queue: RescoreQueue | None) -> None:
    """The route; without a queue it says how to switch it on."""

    @app.post("/v1/rescore", openapi_extra=_described())
    async def on_request(request: Request) -> Response:
        """A list for a session that the shop keeps itself; nothing of it is stored. `source` is
        `request`. Of `candidates` those are ranked that the model found worth scoring."""
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
            return problem(422, "Invalid request", str(error))
        try:
            ready = await queue.rescore(session_of(asked), policy_of(asked))
        except TooManyWaitingError as error:
            return problem(503, "Too many requests", str(error), {"Retry-After": "1"})
        return json_body(await window.show("request", chosen_of(asked, ready)))


def _described() -> dict[str, Any]:
    """The body in OpenAPI, with what it refers to written out: the route has no components."""
    (schema,), parts = msgspec.json.schema_components([RescoreRequest], ref_template="{name}")

    def written_out(node: Any) -> Any:
        if isinstance(node, dict):
            named = parts[node["$ref"]] if "$ref" in node else node
            return {key: written_out(value) for key, value in named.items()}
        return [written_out(value) for value in node] if isinstance(node, list) else node

    content = {"application/json": {"schema": written_out(schema)}}
    return {"requestBody": {"required": True, "content": content}}
