"""`GET` of lists: a shopper's, what is similar to an item, what trends."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import FastAPI, Path, Query, Response

from endcap.errors import ConnectionFailedError
from endcap.events import MAX_ID_LENGTH
from endcap.near_names import did_you_mean
from endcap.serving.answers import json_body
from endcap.serving.fallback import Where
from endcap.serving.front import LIST_ROUTE
from endcap.serving.openapi import answered, ref
from endcap.serving.placed_list import PlacedList, Visit
from endcap.serving.placements import Placement
from endcap.serving.problems import FieldError, problem
from endcap.serving.sessions_port import SessionReader
from endcap.serving.shop_window import ShopWindow
from endcap.serving.shown_list import ShownList
from endcap.sessions import Session

MAX_CART = 100
_LIST = {
    "source": "own",
    "version": 131,
    "model": "completejourney",
    "generated_at": 1764000000123,
    "items": [
        {
            "id": "1082185",
            "score": 4.2,
            "reason": "you bought this 7 times",
            "title": "Bananas",
            "category": "Tropical Fruit",
            "price": 0.93,
        }
    ],
}
_PLACED = {"placement": "basket", "filled_from": ["trending"]} | _LIST

Id = Annotated[str, Path(min_length=1, max_length=MAX_ID_LENGTH)]
Named = Annotated[str, Query(max_length=MAX_ID_LENGTH)]


def add_lists(
    app: FastAPI,
    window: ShopWindow,
    sessions: SessionReader,
    placements: Mapping[str, Placement],
) -> None:
    """The three routes."""
    known = Query(description="A placement's name.", json_schema_extra={"enum": [*placements]})
    either = {"anyOf": [ref(ShownList), ref(PlacedList)]}

    @app.get(LIST_ROUTE, tags=["lists"], responses=answered(either, _PLACED, 422, 503))
    async def recommendations(
        user: Id,
        placement: Annotated[str, known] = "",
        item: Named = "",
        cart: Annotated[tuple[Named, ...], Query(max_length=MAX_CART)] = (),
        category: Named = "",
        store: Named = "",
        now: bool = False,
    ) -> Response:
        """The shopper's own list, else what trends where they are; `source` says which. With a
        `placement` its number of items, filters and exclusions hold; `item` is the one on the page,
        `cart` what lies in the basket beside what the stream knows of."""
        where = Where(category, store, now)
        if not placement:
            return _answer(await window.for_shopper(user, where))
        wanted = placements.get(placement)
        if wanted is None:
            return _unknown(placement, placements)
        session = await _session_of(user, sessions)
        visit = Visit(user, item, cart, where)
        return _answer(await window.placed(placement, wanted, visit, session))

    @app.get(
        "/v1/similar/{item}",
        tags=["lists"],
        responses=answered(ref(ShownList), _LIST | {"source": "similar"}, 422, 503),
    )
    async def similar(item: Id) -> Response:
        """What is bought together with an item; where nothing is, what trends in its category, else
        what trends: `source` is `similar`, `category` or `trending`. The item itself is not among
        them."""
        return _answer(await window.similar(item))

    @app.get(
        "/v1/trending",
        tags=["lists"],
        responses=answered(ref(ShownList), _LIST | {"source": "trending"}, 422, 503),
    )
    async def trending(category: Named = "", store: Named = "", now: bool = False) -> Response:
        """What trends in a category, in a store, in the last day, or for everybody: the first of
        them that is asked for and there."""
        return _answer(await window.trending(Where(category, store, now)))


async def _session_of(user: str, sessions: SessionReader) -> Session | None:
    """Without Kafka the strip is filled all the same, from what the page itself knows."""
    try:
        return await sessions.session(user)
    except ConnectionFailedError:
        return None


def _answer(body: bytes | None) -> Response:
    if body is not None:
        return json_body(body)
    return problem(
        503,
        "No list yet",
        "Nothing is trending yet: start `endcap rescore` and `endcap trends`.",
        {"Retry-After": "5"},
    )


def _unknown(name: str, placements: Mapping[str, Placement]) -> Response:
    said = f"There is no placement {name}.{did_you_mean(name, placements)}"
    known = f"Known: {', '.join(sorted(placements))}. endcap.toml names more."
    error = FieldError("placement", said)
    return problem(422, "Invalid parameter", f"{said} {known}", errors=[error])
