"""A shop in memory: a bundle's items and model, and the purchases that it is given."""

import asyncio
from collections.abc import Mapping, Sequence

from endcap.assistant.records import Order
from endcap.bundle import Bundle
from endcap.catalogue import CatalogueItem
from endcap.deploy.shop_orders import orders_of
from endcap.events import Event
from endcap.lists import ListItem
from endcap.policy import Policy
from endcap.sessions import Session, fold_all

RECOMMENDED = 8


class BundleShop:
    """Implements `endcap.deploy.asked.Shop`. `items`: as the catalogue has them now; `events`: of
    every shopper."""

    def __init__(
        self, bundle: Bundle, items: Sequence[CatalogueItem], events: Sequence[Event] = ()
    ) -> None:
        self._bundle = bundle
        self._items = {item.item_id: item for item in items}
        self._sessions = fold_all(events)
        self._events: dict[str, list[Event]] = {}
        for event in events:
            self._events.setdefault(event.user_id, []).append(event)
        self._reduced = [
            item
            for item in items
            if item.previous_price and item.price and item.price < item.previous_price
        ]

    async def items(self, ids: Sequence[str]) -> Mapping[str, CatalogueItem]:
        """Those that the catalogue has."""
        return {name: self._items[name] for name in ids if name in self._items}

    async def reduced(self) -> Sequence[CatalogueItem]:
        """What is bought most comes first, as in the bundle."""
        return self._reduced

    async def orders(self, user_id: str) -> Sequence[Order]:
        """Newest first."""
        return orders_of(self._events.get(user_id, ()), self._items)

    async def recommended(self, ids: Sequence[str], user_id: str) -> Sequence[ListItem]:
        """By the bundle's model, as if the items had been put into a cart; without items for the
        shopper's session."""
        return await asyncio.to_thread(self._scored, ids, user_id)

    def _scored(self, ids: Sequence[str], user_id: str) -> Sequence[ListItem]:
        from endcap.serving.cart_session import cart_session
        from endcap.serving.onnx_session import OnnxScorer
        from endcap.serving.rescorer import rescore

        if not hasattr(self, "_scorer"):
            self._scorer = OnnxScorer(self._bundle, threads=1)
        known = [name for name in ids if name in self._bundle.index_of]
        own = self._sessions.get(user_id, Session(user_id or "nobody"))
        session = cart_session(known) if known else own
        policy = Policy(size=RECOMMENDED)
        return rescore([session], self._bundle, self._scorer, policy)[session.user_id].items
