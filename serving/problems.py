"""Errors over HTTP: problem+json (RFC 9457), with what to do in `detail`."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.routing import Route

from endcap.errors import ConnectionFailedError
from endcap.serving.bodies import BodyTooLargeError

PROBLEM_JSON = "application/problem+json"
MAX_ERRORS = 20
"""Of one request: who sent 500 wrong events learns from the first."""
_KIND = "urn:endcap:problem:"


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong where: `field` is a path in the body (`[3].items[0].item_id`; empty: the body
    as a whole), or the name of a parameter."""

    field: str
    reason: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457. `type` names the kind for programs; `detail` says what to do."""

    type: str
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    errors: Sequence[FieldError] = ()


def problem(
    status: int,
    title: str,
    detail: str,
    headers: dict[str, str] | None = None,
    errors: Sequence[FieldError] = (),
) -> Response:
    """The one form of an error; its type follows from its title.

    >>> problem(429, "Too many requests", "Wait.").body.decode()[:40]
    '{"type":"urn:endcap:problem:too-many-req'
    """
    kind = _KIND + re.sub(r"\W+", "-", title.lower())
    said = Problem(kind, title, status, detail, errors[:MAX_ERRORS])
    return Response(msgspec.json.encode(said), status, headers, media_type=PROBLEM_JSON)


def unavailable(error: Exception) -> Response:
    """Something outside does not answer."""
    return problem(503, "Unavailable", str(error), {"Retry-After": "1"})


def answer_with_problems(app: FastAPI) -> None:
    """Routes may raise these; the answer is a problem. So is FastAPI's own refusal."""

    @app.exception_handler(ConnectionFailedError)
    async def away(_: Request, error: ConnectionFailedError) -> Response:
        return unavailable(error)

    @app.exception_handler(BodyTooLargeError)
    async def too_large(_: Request, error: BodyTooLargeError) -> Response:
        return problem(413, "Body too large", str(error))

    @app.exception_handler(RequestValidationError)
    async def parameters(_: Request, error: RequestValidationError) -> Response:
        errors = [_of_parameter(each) for each in error.errors()]
        first = errors[0]
        return problem(
            422,
            "Invalid parameter",
            f"{first.field}: {first.reason}. See /docs for what this route takes.",
            errors=errors,
        )

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            allowed = ", ".join(_methods_of(request))
            detail = f"{request.method} is not answered here; allowed: {allowed}."
            return problem(405, "Method not allowed", detail, {"Allow": allowed})
        detail = "There is no such route; /docs lists them. A slash in an id is not supported."
        return problem(error.status_code, "Not found", detail, dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def failed(_: Request, _error: Exception) -> Response:
        return problem(500, "Internal error", "The server's log has the error; try again.")


def _methods_of(request: Request) -> list[str]:
    """Of all routes of this path: the framework names those of the first alone."""
    matching = [
        route
        for route in request.app.routes
        if isinstance(route, Route) and route.path_regex.match(request.url.path)
    ]
    return sorted({method for route in matching for method in route.methods or ()})


def _of_parameter(error: Any) -> FieldError:
    """FastAPI's place is ("query", "limit")."""
    return FieldError(".".join(str(part) for part in error["loc"][1:]), str(error["msg"]))
