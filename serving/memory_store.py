"""The same store in this process's memory: for embedding, and for trying HTTP without a server."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from endcap.catalogue import CatalogueItem
from endcap.lists import RecommendationList, Shelf, encode_list


class MemoryStore:
    """Keeps what `RedisStore` keeps, by the same rules; nothing outlives the process or expires."""

    def __init__(self) -> None:
        self._lists: dict[str, RecommendationList] = {}
        self._trending: RecommendationList | None = None
        self._shelves: dict[Shelf, RecommendationList] = {}
        self._items: dict[str, CatalogueItem] = {}

    async def write_lists(self, lists: Mapping[str, RecommendationList]) -> int:
        """Write all; returns how many were not older than what was held."""
        newer = {
            user_id: ready
            for user_id, ready in lists.items()
            if user_id not in self._lists or self._lists[user_id].version <= ready.version
        }
        self._lists |= newer
        return len(newer)

    async def delete_lists(self, user_ids: Sequence[str]) -> int:
        """Forget lists; returns how many there were."""
        return sum(self._lists.pop(user_id, None) is not None for user_id in user_ids)

    async def write_trending(self, ready: RecommendationList, only_if_absent: bool = False) -> None:
        """Replace the fallback for everybody."""
        if not only_if_absent or self._trending is None:
            self._trending = ready

    async def write_shelves(self, lists: Mapping[Shelf, RecommendationList | None]) -> None:
        """Replace lists that are nobody's own; None takes one down."""
        for shelf, ready in lists.items():
            if ready is None:
                self._shelves.pop(shelf, None)
            else:
                self._shelves[shelf] = ready

    async def write_items(self, items: Sequence[CatalogueItem]) -> None:
        """Keep each item's facts."""
        self._items |= {item.item_id: item for item in items}

    async def delete_items(self, ids: Sequence[str]) -> None:
        """Forget items; unknown ones are no error."""
        for item_id in ids:
            self._items.pop(item_id, None)

    def at(self, _placement: str) -> "MemoryStore":
        """Itself: no rules are known here."""
        return self

    async def read(self, user_id: str) -> RecommendationList | None:
        """A user's own list."""
        return self._lists.get(user_id)

    async def raw_list(self, user_id: str) -> bytes | None:
        """A user's own list, as it would lie in Redis."""
        held = self._lists.get(user_id)
        return None if held is None else encode_list(held)

    def tell_list(self, _user_id: str, _heard: Callable[[Any], None]) -> bool:
        """See `ListReader`: here nothing is waited for."""
        return False

    async def read_many(self, user_ids: Sequence[str]) -> list[RecommendationList | None]:
        """Lists of several users."""
        return [self._lists.get(user_id) for user_id in user_ids]

    async def trending(self) -> RecommendationList | None:
        """The fallback for everybody."""
        return self._trending

    async def shelf(self, shelf: Shelf) -> RecommendationList | None:
        """One of the lists that are nobody's own."""
        return self._shelves.get(shelf)

    async def items(self, ids: Sequence[str]) -> dict[str, CatalogueItem]:
        """Facts of several items; unknown ids are left out."""
        return {item_id: self._items[item_id] for item_id in ids if item_id in self._items}

    async def some_users(self, n: int) -> list[str]:
        """Up to `n` users that have a list."""
        return list(self._lists)[:n]

    async def ping(self) -> bool:
        """Memory answers."""
        return True
