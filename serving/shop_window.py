"""Which list a shopper is shown, as the body of an answer."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple

import msgspec
from prometheus_client import Counter

from endcap.errors import ConnectionFailedError
from endcap.lists import RecommendationList, Shelf, encode_list
from endcap.serving.fallback import Where, what_trends
from endcap.serving.kept_list import Kept, KeptList
from endcap.serving.placed_list import PlacedLists, Visit
from endcap.serving.placements import Placement
from endcap.serving.ruled_lists import RuledLists
from endcap.serving.shown_items import tail_of
from endcap.serving.shown_list import shown, without_item
from endcap.sessions import Session

FALLBACKS = Counter(
    "endcap_http_fallback_lists_total",
    "Lists shown that were not what was asked for first, by where they came from",
    ["source"],
)


class Everybodys(NamedTuple):
    """The list for everybody; `source`: `trending`, `kept`, or `none` where there is none."""

    source: str
    ready: RecommendationList | None


class ShopWindow:
    """Lists from the store, joined with the facts of their items."""

    def __init__(self, lists: RuledLists, kept: KeptList | None = None) -> None:
        self._lists = lists
        self._kept = kept or KeptList(lists)
        self._placed = PlacedLists(lists, self._kept)

    def own(self, user: str) -> Coroutine[Any, Any, bytes | None]:
        """The shopper's own list; None where there is none.

        Raises:
            ConnectionFailedError: the store does not answer.
        """
        return self._lists.shown_list(user)

    def tell_own(self, user: str, heard: Callable[[bytes | None], None]) -> bool:
        """See `RuledLists.tell_shown`."""
        return self._lists.tell_shown(user, heard)

    async def for_shopper(self, user: str, where: Where) -> bytes | None:
        """Their own list, else what trends where they are; None where nothing was ever seen.

        Raises:
            ConnectionFailedError: the store does not answer, and nothing is kept.
        """
        try:
            own = await self.own(user)
        except ConnectionFailedError as error:
            return self._kept_instead(error)
        return await self.trending(where) if own is None else own

    async def trending(self, where: Where) -> bytes | None:
        """What trends where a shopper is; None where nothing was ever seen to trend.

        Raises:
            ConnectionFailedError: the store does not answer, and nothing is kept.
        """
        try:
            found = await what_trends(self._lists, where)
            if found is not None:
                FALLBACKS.labels(found.source).inc()
                return await self.show(found.source, found.ready)
        except ConnectionFailedError as error:
            return self._kept_instead(error)
        return self._kept_instead(None)

    async def similar(self, item: str) -> bytes | None:
        """What is bought together with an item, else what trends in its category, else trending.

        Raises:
            ConnectionFailedError: the store does not answer, and nothing is kept.
        """
        try:
            ready = await self._lists.shelf(Shelf("similar", item))
            if ready is not None and ready.items:
                return await self.show("similar", ready)
            known = await self._lists.items([item])
        except ConnectionFailedError as error:
            return self._kept_instead(error)
        category = known[item].category if item in known else ""
        trending = await self.trending(Where(category))
        return None if trending is None else without_item(trending, item)

    async def placed(
        self, name: str, placement: Placement, visit: Visit, session: Session | None
    ) -> bytes | None:
        """A placement's list; None where nothing was ever seen.

        Raises:
            ConnectionFailedError: the store does not answer, and nothing is kept.
        """
        made = await self._placed.of(name, placement, visit, session)
        if made is None:
            return None
        if made.source != placement.sources[0]:
            FALLBACKS.labels(made.source).inc()
        return msgspec.json.encode(made)

    async def for_everybody(self) -> Everybodys:
        """What trends, or did when the store last answered; nothing is no error here."""
        try:
            ready = await self._lists.trending()
        except ConnectionFailedError:
            ready = None
        found = Everybodys("trending", ready)
        if ready is None:
            kept = self._kept.now
            found = Everybodys("kept", kept.ready) if kept else Everybodys("none", None)
        FALLBACKS.labels(found.source).inc()
        return found

    async def show(self, source: str, ready: RecommendationList) -> bytes:
        """Any list; without titles and prices while the store is away."""
        try:
            return await self._lists.with_facts(source, ready)
        except ConnectionFailedError:
            return shown(source, encode_list(ready), {item.id: b"" for item in ready.items})

    def _kept_instead(self, error: ConnectionFailedError | None) -> bytes | None:
        kept = self._kept.now
        if kept is None:
            if error is not None:
                raise error
            return None
        FALLBACKS.labels("kept").inc()
        return shown("kept", encode_list(kept.ready), _tails_of(kept))


def _tails_of(kept: Kept) -> Mapping[str, bytes]:
    return {item.id: tail_of(kept.items.get(item.id)) for item in kept.ready.items}
