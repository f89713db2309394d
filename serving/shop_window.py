"""Which list a shopper is shown, as the body of an answer."""

from collections.abc import Sequence
from typing import Protocol

from endcap.catalogue import CatalogueItem
from endcap.lists import RecommendationList, Shelf, encode_list
from endcap.serving.facts import Facts
from endcap.serving.fallback import Where, what_trends
from endcap.serving.shown_list import ItemFacts, show


class ListReader(Protocol):
    """Where finished lists and items are read."""

    async def raw_list(self, user_id: str) -> bytes | None:
        """A user's own list, as `encode_list` wrote it."""
        ...

    async def trending(self) -> RecommendationList | None:
        """The fallback for everybody."""
        ...

    async def shelf(self, shelf: Shelf) -> RecommendationList | None:
        """One of the lists that are nobody's own."""
        ...

    async def facts(self, ids: Sequence[str]) -> list[Facts]:
        """What is shown of several items, in their order."""
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


class ShopWindow:
    """Lists from the store, joined with the facts of their items."""

    def __init__(self, lists: ListReader) -> None:
        self._lists = lists
        self._facts = ItemFacts(lists)

    async def own(self, user: str) -> bytes | None:
        """The shopper's own list; None where there is none.

        Raises:
            ConnectionFailedError: the store does not answer.
        """
        raw = await self._lists.raw_list(user)
        return None if raw is None else await show("own", raw, self._facts)

    async def trending(self, where: Where) -> bytes | None:
        """What trends where a shopper is; None where nothing trends yet.

        Raises:
            ConnectionFailedError: the store does not answer.
        """
        found = await what_trends(self._lists, where)
        return None if found is None else await self.show(found.source, found.ready)

    async def show(self, source: str, ready: RecommendationList) -> bytes:
        """Any list.

        Raises:
            ConnectionFailedError: the store does not answer.
        """
        return await show(source, encode_list(ready), self._facts)
