"""What trended when the store last had it: the answer for when it has nothing, or is away.

It is kept in the process, and in a file where one is named, for a server that starts in an outage.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from endcap.catalogue import CatalogueItem
from endcap.errors import ConnectionFailedError
from endcap.lists import RecommendationList

log = logging.getLogger(__name__)
REFRESH_S = 10.0
_FIRST_S = 1.0


class Kept(msgspec.Struct, frozen=True):
    """A list, and what is known of its items by their ids."""

    ready: RecommendationList
    items: Mapping[str, CatalogueItem]


class EverybodysReader(Protocol):
    """Where the list for everybody is read."""

    async def trending(self) -> RecommendationList | None:
        """The fallback for everybody."""
        ...

    async def items(self, ids: Sequence[str]) -> dict[str, CatalogueItem]:
        """Facts of several items."""
        ...


class KeptList:
    """`now` is None until a trending list was seen for the first time."""

    def __init__(self, lists: EverybodysReader, path: Path | None = None) -> None:
        self._lists = lists
        self._path = path
        self.now: Kept | None = _read(path)

    async def refresh(self) -> None:
        """Take what trends now; where nothing does, what was kept stays.

        Raises:
            ConnectionFailedError: the store does not answer.
        """
        ready = await self._lists.trending()
        if ready is None or not ready.items:
            return
        fresh = Kept(ready, await self._lists.items([item.id for item in ready.items]))
        if fresh != self.now:
            self.now = fresh
            if self._path is not None:
                await asyncio.to_thread(_write, self._path, fresh)

    async def run(self) -> None:
        """Refresh every `REFRESH_S`, more often until there is one; until cancelled."""
        while True:
            try:
                await self.refresh()
            except ConnectionFailedError as error:
                log.warning("The trending list that is kept grows old: %s", error)
            except Exception:
                log.exception("The trending list could not be kept")
            await asyncio.sleep(_FIRST_S if self.now is None else REFRESH_S)


def _read(path: Path | None) -> Kept | None:
    if path is None or not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except (OSError, msgspec.DecodeError) as error:
        log.warning("%s is not read (%s); it is written anew.", path, error)
        return None


def _write(path: Path, kept: Kept) -> None:
    """By rename: who reads it finds the old one or the new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_bytes(msgspec.json.encode(kept))
        unfinished.replace(path)
    except OSError as error:
        log.warning("The trending list is kept in memory alone: %s", error)
