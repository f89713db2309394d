"""Errors over HTTP: problem+json (RFC 9457), with what to do in `detail`."""

from fastapi import Response
from fastapi.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


def problem(
    status: int, title: str, detail: str, headers: dict[str, str] | None = None
) -> Response:
    """The one form of an error."""
    return JSONResponse(
        {"title": title, "status": status, "detail": detail},
        status,
        headers,
        media_type=MEDIA_TYPE,
    )


def unavailable(error: Exception) -> Response:
    """Something outside does not answer."""
    return problem(503, "Unavailable", str(error), {"Retry-After": "1"})


def body_too_large(most: int) -> Response:
    """A body above the limit."""
    return problem(413, "Body too large", f"At most {most} bytes a request; send smaller batches.")
