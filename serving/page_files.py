"""Files of a page from memory, with headers that let it load nothing else."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from fastapi import Request, Response

from endcap.serving.problems import problem

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


class PageFiles:
    """HTML, CSS, JavaScript and SVG, read once."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._files = {
            path.name: _File(raw, _TYPES[path.suffix], f'"{hashlib.sha256(raw).hexdigest()[:24]}"')
            for path in files
            if path.suffix in _TYPES
            for raw in [path.read_bytes()]
        }

    def answer(self, name: str, request: Request) -> Response:
        """The file; 304 where the browser has it, 404 where there is none of this name."""
        found = self._files.get(name)
        if found is None:
            return problem(404, "Not found", "The page has no such file.")
        headers = _HEADERS | {"ETag": found.etag}
        if request.headers.get("if-none-match") == found.etag:
            return Response(status_code=304, headers=headers)
        return Response(found.body, headers=headers, media_type=found.media_type)
