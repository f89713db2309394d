"""A shopper's strip, asked for once or pushed as server-sent events: both by the rules in force."""

from collections.abc import AsyncIterator

from endcap.errors import ConnectionFailedError
from endcap.serving.list_changes import Listener
from endcap.serving.list_reader import ListReader
from endcap.serving.shop_list import ProductFacts, strip
from endcap.serving.shop_shelves import ShopShelves
from endcap.serving.shop_window import ShopWindow

HEARTBEAT_S = 10.0
"""A proxy that hears nothing for longer than this may take the stream for dead."""
AGAIN_S = 1.0
"""Where Redis is followed and yet did not answer, it is asked again so soon."""
RETRY_MS = 1000
_STILL_HERE = b": still here\n\n"


class Strips:
    """Of every shopper, as JSON of a `ShopList`."""

    def __init__(
        self, lists: ListReader, window: ShopWindow, facts: ProductFacts, shelves: ShopShelves
    ) -> None:
        """`lists`: with the rules in force."""
        self._lists = lists
        self._window = window
        self._facts = facts
        self._shelves = shelves

    async def now(self, user: str) -> bytes:
        """What there is."""
        raw, answers = await self._own(user)
        return await self._made(raw, answers)

    async def pushed(self, user: str, listener: Listener) -> AsyncIterator[bytes]:
        """Server-sent events, `list`: what there is now, and each one that differs from the last,
        until the listener ends. At each heartbeat an own list is looked at too: a rule's window
        may have opened, or an item be sold out."""
        try:
            yield b"retry: %d\n\n" % RETRY_MS
            shown: bytes | None = None
            said = b""
            wait_s = HEARTBEAT_S
            while True:
                is_woken = await listener.next(wait_s)
                if listener.is_ended:
                    return
                raw, answers = await self._own(user)
                if is_woken or raw != shown or wait_s == AGAIN_S:
                    body = await self._made(raw, answers and listener.is_live)
                    if body != said:
                        yield b"event: list\ndata: %b\n\n" % body
                    shown, said = raw, body
                else:
                    yield _STILL_HERE
                wait_s = AGAIN_S if listener.is_live and not answers else HEARTBEAT_S
        finally:
            listener.close()

    async def _own(self, user: str) -> tuple[bytes | None, bool]:
        """The shopper's own list as it may be shown now, and whether the store answers."""
        try:
            return await self._lists.raw_list(user), True
        except ConnectionFailedError:
            return None, False

    async def _made(self, raw: bytes | None, is_live: bool) -> bytes:
        return await strip(raw, is_live, self._window, self._facts, await self._shelves.now())
