"""What routes answer with, beside lists: each a JSON object of a fixed form."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from fastapi import Response

from endcap.erasure import Receipt
from endcap.segments import Segment, State


class Accepted(msgspec.Struct, frozen=True, omit_defaults=True):
    """So many rows are with the broker. `denied`: so many were dropped, of shoppers who refused."""

    accepted: int
    denied: int = 0


class SessionItem(msgspec.Struct, frozen=True):
    """An item that a shopper touched; `title` is empty where none is known."""

    id: str
    event_name: str
    timestamp_ms: int
    title: str


class SessionShown(msgspec.Struct, frozen=True):
    """What the stream knows of a shopper now; `interactions` newest first."""

    user_id: str
    events_folded: int
    cart: Sequence[str]
    interactions: Sequence[SessionItem]


class Bought(msgspec.Struct, frozen=True):
    """How often an item was bought, when first and last (Unix milliseconds)."""

    id: str
    times: int
    first_ms: int
    last_ms: int


class ListedItem(msgspec.Struct, frozen=True):
    """A row of the shopper's list."""

    id: str
    score: float
    reason: str


class ListShown(msgspec.Struct, frozen=True):
    """The list as it lies in the store."""

    version: int
    model: str
    generated_at: int
    items: Sequence[ListedItem]


class PersonShown(msgspec.Struct, frozen=True):
    """What is held of a person. `list` null: there is none, or the `store` does not answer;
    `session` null: there is none, or the topic of `sessions` could not be read yet."""

    user_id: str
    store: Literal["answered", "away"]
    sessions: Literal["answered", "away"]
    session: SessionShown | None
    purchased: Sequence[Bought]
    updated_ms: int
    list: ListShown | None


class SegmentShown(msgspec.Struct, frozen=True):
    """A segment, and the state that the time of asking makes of it."""

    user_id: str
    state: State
    segment: Segment


class ErasureAsked(msgspec.Struct, frozen=True):
    """The request stands; `receipt` is where to look for what was removed."""

    request_id: str
    receipt: str


class ErasureShown(msgspec.Struct, frozen=True):
    """What an erasure removed where; `missing`: who has not answered yet."""

    request_id: str
    is_done: bool
    removed: dict[str, int]
    missing: Sequence[str]
    receipts: Sequence[Receipt]


class Healthy(msgspec.Struct, frozen=True):
    """The process runs."""

    status: Literal["ok"]


class Ready(msgspec.Struct, frozen=True):
    """Whether the `store` answers, and whether a trending list is `kept` for when it does not."""

    store: bool
    kept: bool


def json_body(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON that is encoded already."""
    return Response(body, status, headers, media_type="application/json")


def answer(
    said: msgspec.Struct, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """One of these."""
    return json_body(msgspec.json.encode(said), status, headers)
