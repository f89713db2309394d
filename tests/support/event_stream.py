"""Server-sent events as a page hears them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

SOON_S = 60


class EventStream:
    """What `/shop/updates/{user}` says."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def until(self, is_so: Callable[[Any], bool]) -> Any:
        """The first list that is so; those before it are passed over."""
        async with asyncio.timeout(SOON_S):
            async for line in self._lines:
                if line.startswith("data: "):
                    said = json.loads(line.removeprefix("data: "))
                    if is_so(said):
                        return said
        raise AssertionError("the stream ended before it said so")

    async def until_shown(self, *items: str) -> Any:
        """The first list of exactly these."""
        return await self.until(lambda said: [row["id"] for row in said["items"]] == [*items])


@asynccontextmanager
async def listening(client: httpx.AsyncClient, user: str) -> AsyncIterator[EventStream]:
    """The page of a shopper."""
    async with client.stream("GET", f"/shop/updates/{user}", timeout=SOON_S) as answer:
        assert answer.status_code == 200
        yield EventStream(answer.aiter_lines())
