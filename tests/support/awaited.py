"""What a test waits for: asked for again until it is so, and named where it does not come."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(
    look: Callable[[], Awaitable[T | None]],
    what: str = "what was waited for",
    timeout_s: float = 90,
) -> T:
    """The first answer that is not False, None or empty."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := await look():
            return found
        await asyncio.sleep(0.05)  # between looks, bounded by the deadline
    raise AssertionError(f"{what} did not happen within {timeout_s} s")
