"""Where what is shown is read: `RedisStore` or `MemoryStore`, by rules through `RuledLists`."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from endcap.catalogue import CatalogueItem
from endcap.lists import RecommendationList, Shelf


class ListReader(Protocol):
    """Where finished lists and items are read."""

    def at(self, placement: str) -> "ListReader":
        """The same lists, as they may be shown in this place of the shop."""
        ...

    async def raw_list(self, user_id: str) -> bytes | None:
        """A user's own list, as `encode_list` wrote it."""
        ...

    def tell_list(self, user_id: str, heard: Callable[[Any], None]) -> bool:
        """Call `heard` with what `raw_list` gives, or with an exception. False: this cannot be done
        now, and it is not called."""
        ...

    async def trending(self) -> RecommendationList | None:
        """The fallback for everybody."""
        ...

    async def shelf(self, shelf: Shelf) -> RecommendationList | None:
        """One of the lists that are nobody's own."""
        ...

    async def items(self, ids: Sequence[str]) -> dict[str, CatalogueItem]:
        """Facts of several items."""
        ...

    async def some_users(self, n: int) -> list[str]:
        """Users that have a list."""
        ...

    async def ping(self) -> bool:
        """Whether the store answers."""
        ...
