"""The demo's shop behind the storefront page: categories, products, search, and lists as they come.

Whoever reaches these routes is every shopper: a real shop puts its login before them
(docs/storefront.md). They are the page's own, not part of the API, and not in its document.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec
from fastapi import FastAPI, Path, Query, Response
from starlette.responses import StreamingResponse

from endcap.errors import ConnectionFailedError, EndcapError
from endcap.events import MAX_ID_LENGTH
from endcap.lists import GENERATION, decode_list
from endcap.serving.answers import answer, json_body
from endcap.serving.list_changes import ListChanges, TooManyListenersError
from endcap.serving.list_reader import ListReader
from endcap.serving.problems import problem
from endcap.serving.rescore_queue import Scoring
from endcap.serving.sessions_port import SessionReader
from endcap.serving.shop_list import ProductFacts, ProductShown
from endcap.serving.shop_page import add_page
from endcap.serving.shop_shelves import DepartmentShown, Page, Shelves, ShopShelves, page_of
from endcap.serving.shop_strip import Strips
from endcap.serving.shop_window import ShopWindow
from endcap.serving.shop_words import (
    MAX_LETTERS,
    Meaning,
    WordsFinder,
    goes_with,
    is_sentence,
    meaning,
    unscored,
)

MAX_IDS = 100
SHOPPERS = 40

_User = Annotated[str, Path(min_length=1, max_length=MAX_ID_LENGTH)]
_Number = Annotated[int, Query(ge=1, le=10_000)]
_STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Shop(NamedTuple):
    """What the shop is made of. `queue`, `words` None: nothing is recommended for words."""

    shelves: ShopShelves
    changes: ListChanges
    queue: Scoring | None = None
    words: WordsFinder | None = None


class PageShown(msgspec.Struct, frozen=True):
    """A page of products, from 1."""

    products: Sequence[ProductShown]
    page: int
    pages: int
    total: int


class NamedShown(msgspec.Struct, frozen=True):
    """A phrase of the sentence, and the products that it names, the likeliest first."""

    phrase: str
    similarity: float
    products: Sequence[ProductShown]


class ShopperShown(msgspec.Struct, frozen=True):
    """Somebody who has a list, and from how many events it was made."""

    id: str
    events: int


class KnownShown(msgspec.Struct, frozen=True):
    """What the page asks before it asks for a person."""

    known: bool
    cart: Sequence[str]


class FoundShown(msgspec.Struct, frozen=True):
    """`kind`: `titles` (what titles have these words) or `words` (what the sentence names, and what
    goes with it). `note`: why nothing is recommended, empty where something is."""

    query: str
    kind: str
    titles: PageShown
    understood: Sequence[NamedShown] = ()
    nothing_like: Sequence[str] = ()
    recommended: Sequence[ProductShown] = ()
    note: str = ""


def add_shop(
    app: FastAPI, shop: Shop, window: ShopWindow, lists: ListReader, sessions: SessionReader
) -> None:
    """The page, and the routes that it asks."""
    facts = ProductFacts(lists)
    strips = Strips(lists, window, facts, shop.shelves)
    add_page(app)

    @app.get("/shop/departments", include_in_schema=False)
    async def departments() -> Response:
        found: Sequence[DepartmentShown] = (await shop.shelves.now()).departments()
        return json_body(msgspec.json.encode(found))

    @app.get("/shop/category", include_in_schema=False)
    async def category(
        name: Annotated[str, Query(min_length=1, max_length=MAX_ID_LENGTH)], page: _Number = 1
    ) -> Response:
        shelves = await shop.shelves.now()
        items = shelves.category(name)
        if not items:
            return problem(404, "No such category", f"The shop has nothing in {name}.")
        return answer(await _page(page_of(items, page), facts, shelves))

    @app.get("/shop/products", include_in_schema=False)
    async def products(
        ids: Annotated[tuple[str, ...], Query(min_length=1, max_length=MAX_IDS)],
    ) -> Response:
        found = await facts.of(ids, await shop.shelves.now())
        return json_body(msgspec.json.encode(found))

    @app.get("/shop/search", include_in_schema=False)
    async def search(
        q: Annotated[str, Query(min_length=1, max_length=MAX_LETTERS)], page: _Number = 1
    ) -> Response:
        shelves = await shop.shelves.now()
        titled = [] if is_sentence(q) else shelves.titled(q)
        found = await _page(page_of(titled, page), facts, shelves)
        if titled:
            return answer(FoundShown(q, "titles", found))
        return answer(await _for_words(q, found, shop, facts, shelves))

    @app.get("/shop/shoppers", include_in_schema=False)
    async def shoppers() -> Response:
        """For the switcher; who is known best comes first."""
        users = await lists.some_users(SHOPPERS)
        raw = await asyncio.gather(*(lists.raw_list(user) for user in users))
        found = [
            ShopperShown(user, decode_list(each).version % GENERATION)
            for user, each in zip(users, raw, strict=True)
            if each is not None
        ]
        found.sort(key=lambda each: (-each.events, each.id))
        return json_body(msgspec.json.encode(found))

    @app.get("/shop/known/{user}", include_in_schema=False)
    async def known(user: _User) -> Response:
        """Whether anything is held of a shopper, and what lies in the cart: no error where not."""
        try:
            held = await sessions.session(user)
        except ConnectionFailedError:
            # Who has a list is known all the same; of others nothing may be said.
            held = None
            if await lists.raw_list(user) is None:
                raise
        is_known = held is not None or await lists.raw_list(user) is not None
        return answer(KnownShown(is_known, () if held is None else held.cart))

    @app.get("/shop/list/{user}", include_in_schema=False)
    async def shopper_list(user: _User) -> Response:
        return json_body(await strips.now(user))

    @app.get("/shop/updates/{user}", include_in_schema=False)
    async def updates(user: _User) -> Response:
        """Server-sent events, `list`: what there is now, and each list that is written."""
        try:
            listener = shop.changes.listen(user)
        except TooManyListenersError as error:
            return problem(503, "Too many listeners", str(error), {"Retry-After": "30"})
        spoken = strips.pushed(user, listener)
        return StreamingResponse(spoken, headers=_STREAM, media_type="text/event-stream")


async def _page(found: Page, facts: ProductFacts, shelves: Shelves) -> PageShown:
    shown = await facts.of([item.item_id for item in found.items], shelves)
    return PageShown(shown, found.number, found.pages, found.total)


async def _for_words(
    query: str, titles: PageShown, shop: Shop, facts: ProductFacts, shelves: Shelves
) -> FoundShown:
    if shop.words is None or shop.queue is None:
        return FoundShown(query, "words", titles, note=unscored(None))
    try:
        understood, bundle = await asyncio.to_thread(shop.words.find, query)
    except EndcapError as error:
        return FoundShown(query, "words", titles, note=unscored(error))
    found: Meaning = meaning(understood, bundle, shelves)
    named = [
        NamedShown(
            each.phrase,
            each.similarity,
            await facts.of([item.item_id for item in each.items], shelves),
        )
        for each in found.named
    ]
    rows: Sequence[ProductShown] = ()
    note = ""
    if found.named:
        try:
            rows = await facts.of_rows(await goes_with(found, shop.queue), shelves)
        except EndcapError as error:
            note = unscored(error)
    return FoundShown(query, "words", titles, named, found.nothing_like, rows, note)
