"""What FastAPI cannot see for itself in OpenAPI: bodies and answers that msgspec writes and reads,
problems, examples, and keys."""

from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from endcap.events import Event
from endcap.serving import answers
from endcap.serving.api_keys import wanted_role
from endcap.serving.assistant_answers import AnswerShown, QuestionAsked
from endcap.serving.impression_body import PostedImpression
from endcap.serving.placed_list import PlacedList
from endcap.serving.problems import PROBLEM_JSON, Problem
from endcap.serving.rescore_request import RescoreRequest
from endcap.serving.shown_list import ShownList

_REF = "#/components/schemas/{name}"
_STRUCTS: list[Any] = [
    Problem,
    ShownList,
    PlacedList,
    Event,
    PostedImpression,
    RescoreRequest,
    QuestionAsked,
    AnswerShown,
    answers.Accepted,
    answers.SessionShown,
    answers.PersonShown,
    answers.SegmentShown,
    answers.ErasureAsked,
    answers.ErasureShown,
    answers.Healthy,
    answers.Ready,
]
_WHY = {
    404: "Nothing is known of it, or it is not switched on",
    413: "The body is above the limit",
    422: "A parameter or the body is wrong: `errors` says where",
    503: "Something outside does not answer; `Retry-After` says when to ask again",
}
_EVERYWHERE = {
    401: "No valid key, where keys are on",
    403: "The key has not the role that this route wants",
    429: "Too many requests from this key or address; `Retry-After` says when to ask again",
}
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "beacon": {
        "type": "apiKey",
        "in": "query",
        "name": "key",
        "description": "For beacons of a browser, which carry no headers: writers alone.",
    },
}


def ref(struct: type) -> dict[str, str]:
    """The schema, by its name."""
    return {"$ref": _REF.format(name=struct.__name__)}


def answered(
    schema: dict[str, Any], example: Any, *problems: int, status: int = 200, says: str = "Answered"
) -> dict[int | str, dict[str, Any]]:
    """A route's answers: the good one with its example, and the problems that it may have."""
    good = {"application/json": {"schema": schema, "example": example}}
    said: dict[int | str, dict[str, Any]] = {status: {"description": says, "content": good}}
    return said | {number: _problem(_WHY[number]) for number in problems}


def posted(schema: dict[str, Any], examples: dict[str, Any], is_beacon: bool) -> dict[str, Any]:
    """A route's body: JSON, and the same as text where a beacon may send it."""
    named = {name: {"value": value} for name, value in examples.items()}
    content: dict[str, Any] = {"application/json": {"schema": schema, "examples": named}}
    if is_beacon:
        content["text/plain"] = {
            "schema": {
                "type": "string",
                "description": "The same JSON, as `navigator.sendBeacon` sends it.",
            }
        }
    return {"requestBody": {"required": True, "content": content}}


def one_or_many(struct: type, most: int) -> dict[str, Any]:
    """A row, or an array of them."""
    return {"anyOf": [ref(struct), {"type": "array", "items": ref(struct), "maxItems": most}]}


class DescribedApp(FastAPI):
    """Completes its document when it is first asked for. `has_keys`: whether routes want one."""

    has_keys = False

    def openapi(self) -> dict[str, Any]:
        """The document."""
        if self.openapi_schema is None:
            made = get_openapi(
                title=self.title,
                version=self.version,
                description=self.description,
                routes=self.routes,
            )
            _complete(made, self.has_keys)
            self.openapi_schema = made
        return self.openapi_schema


def _let_false_refuse(consent: dict[str, Any]) -> None:
    """`false` is taken as `denied`, though the struct knows the words alone (endcap.consent)."""
    consent["anyOf"] = [*consent["anyOf"], {"const": False}]


def _complete(made: dict[str, Any], has_keys: bool) -> None:
    _, parts = msgspec.json.schema_components(_STRUCTS, ref_template=_REF)
    for struct in (Event, PostedImpression):
        _let_false_refuse(parts[struct.__name__]["properties"]["consent"])
    made["components"] = {"schemas": parts, "securitySchemes": _KEYS}
    for path, methods in made["paths"].items():
        role = wanted_role(path)
        if role is None:
            continue
        for operation in methods.values():
            operation["responses"] |= {
                str(status): _problem(says) for status, says in _EVERYWHERE.items()
            }
            operation["x-role"] = role
            if has_keys:
                operation["security"] = _ways(role)


def _ways(role: str) -> Sequence[dict[str, list[str]]]:
    names = ("bearer", "header", "beacon") if role == "writer" else ("bearer", "header")
    return [{name: []} for name in names]


def _problem(says: str) -> dict[str, Any]:
    return {"description": says, "content": {PROBLEM_JSON: {"schema": ref(Problem)}}}
