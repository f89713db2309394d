"""The shop of a running server: its catalogue and orders from Kafka, its lists from Redis."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence

from endcap.assistant.records import Order
from endcap.catalogue import CatalogueItem
from endcap.deploy.opened_shop import PublishedOrTrained
from endcap.deploy.shop_orders import orders_of
from endcap.errors import EndcapError
from endcap.lists import ListItem, Shelf, decode_list
from endcap.policy import Policy
from endcap.serving.cart_session import cart_session
from endcap.serving.list_reader import ListReader
from endcap.serving.rescore_queue import Scoring
from endcap.streams.order_view import OrderView

log = logging.getLogger(__name__)
MAX_AGE_S = 5.0
RECOMMENDED = 8


class LiveShop:
    """Implements `endcap.deploy.asked.Shop`.

    The catalogue is at most `MAX_AGE_S` behind its topic: 12,000 items take 50 ms of a core to
    decode, not to be spent on each question.
    """

    def __init__(
        self,
        products: PublishedOrTrained,
        orders: OrderView,
        lists: ListReader,
        queue: Scoring | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._products = products
        self._orders = orders
        self._lists = lists
        self._queue = queue
        self._clock = clock
        self._known: dict[str, CatalogueItem] = {}
        self._reduced: list[CatalogueItem] = []
        self._made_of = -1
        self._not_before = 0.0
        self._making = asyncio.Lock()

    async def items(self, ids: Sequence[str]) -> Mapping[str, CatalogueItem]:
        """Those that the catalogue has."""
        await self._refresh()
        return {name: self._known[name] for name in ids if name in self._known}

    async def reduced(self) -> Sequence[CatalogueItem]:
        """In the catalogue's order."""
        await self._refresh()
        return self._reduced

    async def orders(self, user_id: str) -> Sequence[Order]:
        """Newest first.

        Raises:
            BrokerUnavailableError: they have not been read yet.
        """
        events = await self._orders.purchases(user_id)
        await self._refresh()
        return orders_of(events, self._known)

    async def recommended(self, ids: Sequence[str], user_id: str) -> Sequence[ListItem]:
        """What goes with the items: by the model, where this process has one, else what is bought
        together with the first of them. Without items the shopper's list, else what trends."""
        if ids:
            return await self._going_with(ids)
        raw = await self._lists.raw_list(user_id) if user_id else None
        if raw is not None:
            return decode_list(raw).items
        trending = await self._lists.trending()
        return trending.items if trending is not None else ()

    async def _going_with(self, ids: Sequence[str]) -> Sequence[ListItem]:
        if self._queue is not None:
            try:
                ready = await self._queue.rescore(cart_session(ids), Policy(size=RECOMMENDED))
            except EndcapError as error:
                log.info("%s What is bought together is recommended instead.", error)
            else:
                return ready.items
        similar = await self._lists.shelf(Shelf("similar", ids[0]))
        return similar.items if similar is not None else ()

    async def _refresh(self) -> None:
        async with self._making:
            changes = self._products.changes
            if self._known and (changes == self._made_of or self._clock() < self._not_before):
                return
            items = await asyncio.to_thread(self._products.values)
            self._known = {item.item_id: item for item in items}
            self._reduced = [
                item
                for item in items
                if item.previous_price and item.price and item.price < item.previous_price
            ]
            self._made_of = changes
            self._not_before = self._clock() + MAX_AGE_S
