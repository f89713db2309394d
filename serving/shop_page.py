"""The storefront's page and its parts."""

from pathlib import Path

from fastapi import FastAPI, Request, Response

from endcap.serving.page_files import PageFiles
from endcap.serving.problems import problem

FOLDER = Path(__file__).parent / "storefront"


def add_page(app: FastAPI) -> None:
    """`/` and `/shop/page/{name}`."""
    files = PageFiles(sorted(FOLDER.iterdir()))

    @app.get("/", include_in_schema=False)
    async def storefront(request: Request) -> Response:
        return files.answer("index.html", request)

    @app.get("/shop/page/{name}", include_in_schema=False)
    async def part(name: str, request: Request) -> Response:
        return files.answer(name, request)


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
