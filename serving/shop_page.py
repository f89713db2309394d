"""The storefront's page and its parts, from memory, with headers that let it load nothing else."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from fastapi import FastAPI, Request, Response

from endcap.serving.problems import problem

FOLDER = Path(__file__).parent / "storefront"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    # Nothing from elsewhere, nothing inline, in no frame, and no form that leaves.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",  # asked for again each time, and answered with 304
}


class _File(NamedTuple):
    body: bytes
    media_type: str
    etag: str


def add_page(app: FastAPI) -> None:
    """`/` and `/shop/page/{name}`."""
    files = {
        path.name: _File(raw, _TYPES[path.suffix], f'"{hashlib.sha256(raw).hexdigest()[:24]}"')
        for path in sorted(FOLDER.iterdir())
        if path.suffix in _TYPES
        for raw in [path.read_bytes()]
    }

    def file(name: str, request: Request) -> Response:
        found = files.get(name)
        if found is None:
            return problem(404, "Not found", "The storefront has no such file.")
        headers = _HEADERS | {"ETag": found.etag}
        if request.headers.get("if-none-match") == found.etag:
            return Response(status_code=304, headers=headers)
        return Response(found.body, headers=headers, media_type=found.media_type)

    @app.get("/", include_in_schema=False)
    async def storefront(request: Request) -> Response:
        return file("index.html", request)

    @app.get("/shop/page/{name}", include_in_schema=False)
    async def part(name: str, request: Request) -> Response:
        return file(name, request)


def add_no_page(app: FastAPI) -> None:
    """`/` where there is no shop."""

    @app.get("/", include_in_schema=False)
    async def nothing() -> Response:
        return problem(
            404,
            "No storefront",
            "This server shows no shop: http_shop is off, or API keys are on, which a page could "
            "not keep. /docs lists what it answers.",
        )
