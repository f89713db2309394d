"""A question from its words to its answer: what the plan wants is fetched, then it is answered."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from endcap.assistant.answer import Answer
from endcap.assistant.assistant import Assistant
from endcap.assistant.documents import read_documents
from endcap.assistant.glossary import read_glossary
from endcap.assistant.plan import Plan, Turn
from endcap.assistant.products import ProductFinder
from endcap.assistant.records import Order, Recommended, Records
from endcap.bundle import Bundle
from endcap.catalogue import CatalogueItem
from endcap.deploy.settings import Settings
from endcap.deploy.text_index import open_text_index
from endcap.errors import BundleError, ConnectionFailedError
from endcap.lists import ListItem
from endcap.text.intent_model import load_intents
from endcap.text.multilingual import MultilingualEncoder

MANY = 30
"""Of how many products the cheapest is looked for."""


class Shop(Protocol):
    """Where the records are: memory in the self-test, Redis and Kafka in the server."""

    async def items(self, ids: Sequence[str]) -> Mapping[str, CatalogueItem]:
        """The catalogue's newest facts of some items."""
        ...

    async def reduced(self) -> Sequence[CatalogueItem]:
        """What costs less than before."""
        ...

    async def orders(self, user_id: str) -> Sequence[Order]:
        """A shopper's own, newest first.

        Raises:
            ConnectionFailedError: they cannot be read now.
        """
        ...

    async def recommended(self, ids: Sequence[str], user_id: str) -> Sequence[ListItem]:
        """What goes with these items; without items the shopper's own list, or everybody's."""
        ...


class Asked(NamedTuple):
    """A question; `user_id` is empty where nobody has shown who they are."""

    question: str
    user_id: str = ""
    earlier: tuple[Turn, ...] = ()


class Told(NamedTuple):
    """An answer with the records that it was made of."""

    answer: Answer
    records: Records


Phrase = Callable[[Answer], Awaitable[Answer]]


class Desk:
    """Answers questions over a shop's records."""

    def __init__(
        self,
        assistant: Assistant,
        finder: ProductFinder,
        shop: Shop,
        currency: str = "$",
        phrase: Phrase | None = None,
        clock: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self.assistant = assistant
        self.finder = finder
        self._shop = shop
        self._currency = currency
        self._phrase = phrase
        self._clock = clock

    async def answer(self, asked: Asked) -> Told:
        """The answer.

        1. Plan. 2. Fetch what the plan wants, of this shopper alone. 3. Answer. 4. Let it be
        phrased, where that is switched on.

        Raises:
            QuestionError: nothing is asked, or too much.
            ConnectionFailedError: the catalogue or the lists cannot be read now.
        """
        # In threads: a process that hands out lists too must not stand still for 10 ms.
        plan = await asyncio.to_thread(
            self.assistant.plan, asked.question, self._clock(), asked.earlier
        )
        records = await self._records(plan, asked.user_id)
        answer = await asyncio.to_thread(self.assistant.answer, plan, records, asked.user_id)
        if self._phrase is not None and answer.claims:
            answer = await self._phrase(answer)
        return Told(answer, records)

    async def _records(self, plan: Plan, user_id: str) -> Records:
        orders: Sequence[Order] | None = None
        is_away = False
        if plan.wants_orders and user_id:
            try:
                orders = await self._shop.orders(user_id)
            except ConnectionFailedError:
                is_away = True
        products = await self._products(plan) if plan.wants_products else {}
        recommended = await self._recommended(plan, products, user_id) if plan.wants_list else ()
        reduced = await self._shop.reduced() if plan.wants_reduced else ()
        return Records(
            self._clock(), orders, is_away, products, recommended, reduced, self._currency
        )

    async def _products(self, plan: Plan) -> Mapping[str, Sequence[CatalogueItem]]:
        most = MANY if plan.wants_cheapest else 8
        found = await asyncio.to_thread(
            lambda: {phrase: self.finder.find(phrase, most) for phrase in plan.goods}
        )
        items = await self._shop.items([name for ids in found.values() for name in ids])
        return {
            phrase: [items[name] for name in ids if name in items] for phrase, ids in found.items()
        }

    async def _recommended(
        self, plan: Plan, products: Mapping[str, Sequence[CatalogueItem]], user_id: str
    ) -> Sequence[Recommended]:
        ids = [found[0].item_id for found in products.values() if found]
        rows = await self._shop.recommended(ids, user_id)
        items = await self._shop.items([row.id for row in rows])
        return [
            Recommended(items[row.id], row.reason)
            for row in rows
            if row.id in items and not items[row.id].is_sold_out and row.id not in ids
        ]


def open_assistant(settings: Settings) -> Assistant:
    """The assistant over the shop's documents and the intent model that the settings name.

    Raises:
        EndcapError: one of them cannot be read.
    """
    folder = settings.assistant_documents
    model = load_intents(settings.assistant_intents, MultilingualEncoder())
    return Assistant(model, read_documents(folder), read_glossary(folder))


def open_finder(folder: Path, bundle: Bundle) -> ProductFinder:
    """Finds a bundle's items by its words; by those of titles alone where it has no others."""
    try:
        index = open_text_index(folder, bundle)
    except BundleError:
        index = None
    return ProductFinder(bundle.items, bundle.generators.sold_first, index)
