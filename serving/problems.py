"""Errors over HTTP: problem+json (RFC 9457), with what to do in `detail`."""

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from endcap.errors import ConnectionFailedError
from endcap.serving.bodies import BodyTooLargeError


def problem(
    status: int, title: str, detail: str, headers: dict[str, str] | None = None
) -> Response:
    """The one form of an error."""
    return JSONResponse(
        {"title": title, "status": status, "detail": detail},
        status,
        headers,
        media_type="application/problem+json",
    )


def unavailable(error: Exception) -> Response:
    """Something outside does not answer."""
    return problem(503, "Unavailable", str(error), {"Retry-After": "1"})


def answer_with_problems(app: FastAPI) -> None:
    """Routes may raise these; the answer is a problem."""

    @app.exception_handler(ConnectionFailedError)
    async def away(_: Request, error: ConnectionFailedError) -> Response:
        return unavailable(error)

    @app.exception_handler(BodyTooLargeError)
    async def too_large(_: Request, error: BodyTooLargeError) -> Response:
        return problem(413, "Body too large", str(error))
