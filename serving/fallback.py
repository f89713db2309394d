"""What a shopper without history sees: what trends where they are."""

from typing import NamedTuple, Protocol

from endcap.lists import RecommendationList, Shelf


class Where(NamedTuple):
    """Where a shopper is: the `category` whose page is open, the `store`, and whether what trends
    right now matters more than the week ("" and False: not known)."""

    category: str = ""
    store: str = ""
    now: bool = False


class ShelfReader(Protocol):
    """Where lists that are nobody's own are read."""

    async def shelf(self, shelf: Shelf) -> RecommendationList | None:
        """One of them."""
        ...

    async def trending(self) -> RecommendationList | None:
        """The fallback for everybody."""
        ...


class Fallback(NamedTuple):
    """`source`: `category`, `store`, `now` or `trending`."""

    source: str
    ready: RecommendationList


async def what_trends(shelves: ShelfReader, where: Where) -> Fallback | None:
    """The first list that is there and not empty; None where nothing trends yet.

    1. The category's, 2. the store's, 3. that of the last day, if wanted, 4. everybody's.
    """
    asked: list[Shelf] = []
    if where.category:
        asked.append(Shelf("category", where.category))
    if where.store:
        asked.append(Shelf("store", where.store))
    if where.now:
        asked.append(Shelf("now"))
    for shelf in asked:
        ready = await shelves.shelf(shelf) if shelf.has_key else None
        if ready is not None and ready.items:
            return Fallback(shelf.kind, ready)
    everybody = await shelves.trending()
    return None if everybody is None else Fallback("trending", everybody)
