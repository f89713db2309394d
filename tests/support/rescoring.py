"""A rescorer as its process wires it, inside a test's own event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from endcap.deploy.rescorer_process import opened_rescorer
from endcap.deploy.settings import Settings
from endcap.deploy.stopping import Part
from endcap.serving.waiting_room import WaitingRoom


@asynccontextmanager
async def rescoring(settings: Settings, *beside: Part) -> AsyncIterator[None]:
    """It runs, and what is to run beside it, until the end of the block."""
    async with opened_rescorer(settings, WaitingRoom()) as opened:
        parts = [*beside, *opened]
        running = [asyncio.create_task(part.run()) for part in parts]
        try:
            yield
        finally:
            for part in parts:
                part.stop()
            await asyncio.gather(*running)
