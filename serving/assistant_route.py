"""`POST /v1/assistant`: a customer's question, answered from the shop's records and documents.

The assistant itself is a room of its own; here is who may ask, and what goes over the wire.
"""

from typing import Any, Protocol

import msgspec
from fastapi import FastAPI, Request, Response
from prometheus_client import Counter, Histogram

from endcap.decoding import decode_with
from endcap.errors import EndcapError, InvalidEventError
from endcap.pseudonyms import Naming
from endcap.serving.answers import json_body
from endcap.serving.assistant_answers import AnswerShown, QuestionAsked
from endcap.serving.bodies import read_body
from endcap.serving.list_routes import Id
from endcap.serving.openapi import answered, posted, ref
from endcap.serving.problems import problem
from endcap.serving.shopper_tokens import ShopperTokens

MAX_BODY_BYTES = 64 * 1024
TOKEN_HEADER = "X-Shopper-Token"  # noqa: S105 (a header's name)
ANSWERS = Counter(
    "endcap_assistant_answers_total",
    "Questions answered, by intent and kind: answer, refusal, login, hand_over, greeting",
    ["intent", "kind"],
)
SECONDS = Histogram(
    "endcap_assistant_seconds",
    "From a question to its answer, without reading the request",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0),
)
_decoder = msgspec.json.Decoder(QuestionAsked)
_ASKED = {"question": "How long can I return something?", "conversation_id": "c1"}


class Answerer(Protocol):
    """What answers: the assistant with the shop's records."""

    async def answer(self, asked: QuestionAsked, user_id: str) -> AnswerShown:
        """The answer to a shopper; `user_id` is empty where nobody has shown who they are.

        Raises:
            InvalidEventError: the question cannot be taken.
            EndcapError: something it needs is away; the message says what.
        """
        ...


def add_assistant(
    app: FastAPI,
    answerer: Answerer | None,
    tokens: ShopperTokens | None,
    name: Naming | None = None,
) -> None:
    """The route; without an assistant it says how to switch it on. `name` makes a pseudonym of the
    id in a token."""

    @app.post(
        "/v1/assistant",
        tags=["assistant"],
        responses=answered(ref(AnswerShown), _EXAMPLE, 404, 413, 422, 503),
        openapi_extra=posted(ref(QuestionAsked), {"one": _ASKED}, is_beacon=False)
        | {"parameters": [_TOKEN_PARAMETER]},
    )
    async def assistant(request: Request) -> Response:
        """A customer's question. Every sentence with a fact in it cites where it stands; what
        nothing grounds is not answered. A shopper's orders are told to the shopper alone, who is
        named by the token in `X-Shopper-Token` and by nothing else."""
        if answerer is None:
            return problem(
                404,
                "Not switched on",
                "This server answers no questions: set ENDCAP_ASSISTANT=true and start it anew.",
            )
        body = await read_body(request, MAX_BODY_BYTES)
        try:
            asked = decode_with(_decoder, body)
        except msgspec.DecodeError as error:
            return problem(422, "Invalid request", f"{error}. See /docs for the body.")
        presented = request.headers.get(TOKEN_HEADER, "")
        user_id = tokens.user_of(presented) if tokens is not None and presented else ""
        if user_id is None or (presented and tokens is None):
            return _refused(tokens)
        if user_id and name is not None:
            user_id = name(user_id)
        try:
            with SECONDS.time():
                said = await answerer.answer(asked, user_id)
        except InvalidEventError as error:
            return problem(422, "Invalid request", str(error))
        except EndcapError as error:
            return problem(503, "Unavailable", str(error), {"Retry-After": "5"})
        ANSWERS.labels(said.intent, said.kind).inc()
        return json_body(msgspec.json.encode(said))


def _refused(tokens: ShopperTokens | None) -> Response:
    """Before anything is read: a wrong token never passes for none."""
    if tokens is None:
        return problem(
            401,
            "No valid shopper token",
            "This server knows no shopper tokens: set ENDCAP_SHOPPER_TOKEN_SECRET, or ask without.",
        )
    return problem(
        401,
        "No valid shopper token",
        "The token has expired or is not from this shop: log in again, or ask without it.",
    )


_EXAMPLE: dict[str, Any] = {
    "kind": "answer",
    "intent": "returns",
    "language": "en",
    "text": "You may return unopened goods within 30 days of purchase.",
    "claims": [{"text": "You may return unopened goods within 30 days of purchase.", "cites": [0]}],
    "citations": [
        {
            "source": "document",
            "id": "en/returns.md#How long you may return something",
            "field": "You may return unopened goods within 30 days of purchase.",
            "value": "You may return unopened goods within 30 days of purchase.",
        }
    ],
    "phrased": False,
}
_TOKEN_PARAMETER: dict[str, Any] = {
    "name": TOKEN_HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Who the shopper is, as the shop's server signed it after the login.",
}


def add_shop_tokens(app: FastAPI, answers: bool, tokens: ShopperTokens | None) -> None:
    """For the demo's page, where whoever opens it is every shopper (docs/storefront.md): whether
    there is somebody to ask, and a token of the shopper that the page shops as."""

    @app.get("/shop/assistant", include_in_schema=False)
    async def assistant() -> Response:
        return json_body(msgspec.json.encode({"answers": answers and tokens is not None}))

    if tokens is None:
        return

    @app.post("/shop/token/{user}", include_in_schema=False)
    async def token(user: Id) -> Response:
        return json_body(msgspec.json.encode({"token": tokens.make(user)}))
