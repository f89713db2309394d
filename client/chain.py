"""The chain of fall-backs as values: which keys to read, and which of what was read to show."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from endcap.client.answers import Answer, Source
from endcap.client.errors import (
    ClientError,
    ListsUnavailableError,
    RequestError,
    UnreadableValueError,
)
from endcap.lists import (
    TRENDING_KEY,
    RecommendationList,
    Shelf,
    decode_list,
    rec_key,
    shelf_key,
    similar_key,
)

MAX_ID_LENGTH = 256
"""Characters, as in an event: a longer id has no list."""
_MAX_CATEGORY_LENGTH = 10_000


class Link(NamedTuple):
    """A list to look for. `place`: its key without an id, for messages."""

    source: Source
    key: str
    place: str


Reading = bytes | None | ClientError
"""What a key gave: its value, nothing, or why it could not be read."""


def links(user: str | None, last_item: str | None, category: str | None, size: int) -> list[Link]:
    """What to look for, the best first; who is not known (None) is left out.

    >>> [link.key for link in links("u7", "milk", None, 20)]
    ['endcap:rec:{u7}', 'endcap:similar:{milk}', 'endcap:trending']

    Raises:
        RequestError: an empty or endless id, something else than text, a size below 1.
    """
    if not isinstance(size, int) or size < 1:
        raise RequestError(f"size is {size!r}: ask for at least 1 item.")
    found = []
    if user is not None:
        check_id("user", user)
        found.append(Link("own", rec_key(user), "endcap:rec:{<user>}"))
    if last_item is not None:
        check_id("last_item", last_item)
        found.append(Link("similar", similar_key(last_item), "endcap:similar:{<item>}"))
    if category is not None:
        check_id("category", category, _MAX_CATEGORY_LENGTH)
        shelf = Shelf("category", category)
        if shelf.has_key:
            found.append(Link("category", shelf_key(shelf), "endcap:trending:<category>"))
    return [*found, Link("trending", TRENDING_KEY, TRENDING_KEY)]


def check_id(name: str, value: object, max_length: int = MAX_ID_LENGTH) -> None:
    """Nothing, if it may be part of a key.

    Raises:
        RequestError: it may not.
    """
    if not isinstance(value, str):
        raise RequestError(f"{name} is of type {type(value).__name__}: give text, or None.")
    if not value:
        raise RequestError(f'{name} is "": leave it out where it is not known.')
    if len(value) > max_length:
        raise RequestError(f"{name} has {len(value)} characters: at most {max_length} may be.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RequestError(f"{name} holds half a surrogate pair: it is not text.") from None


class Look(NamedTuple):
    """What one try gave. `is_settled`: asking again would change nothing, for no better list is
    missing for want of an answer."""

    answer: Answer
    problem: ClientError | None
    is_settled: bool

    def answer_or_raise(self) -> Answer:
        """The answer.

        Raises:
            ClientError: there is nothing to show, and something could not be read.
        """
        if self.problem is not None and self.answer.source == "none":
            raise self.problem
        return self.answer


def look(links: Sequence[Link], readings: Sequence[Reading], size: int) -> Look:
    """The first list that is there and has items, cut to `size`; what cannot be read is passed
    over, and the first of that is the `problem`."""
    problem: ClientError | None = None
    is_settled = True
    for link, reading in zip(links, readings, strict=True):
        found = (
            reading if reading is None or isinstance(reading, ClientError) else _list(link, reading)
        )
        if isinstance(found, ClientError):
            problem = problem or found
            is_settled = is_settled and not isinstance(found, ListsUnavailableError)
        elif found is not None and found.items:
            return Look(_answer(link.source, found, size, problem), problem, is_settled)
    return Look(Answer("none", problem=str(problem or "")), problem, is_settled)


def _list(link: Link, value: bytes) -> RecommendationList | UnreadableValueError:
    try:
        return decode_list(value)
    except msgspec.MsgspecError as error:
        return UnreadableValueError(
            f"The value at {link.place} is not a list of the contract ({error}). Only endcap may "
            "write there: see docs/redis.md."
        )


def _answer(
    source: Source, ready: RecommendationList, size: int, problem: ClientError | None
) -> Answer:
    return Answer(
        source,
        ready.items[:size],
        ready.version,
        ready.model,
        ready.generated_at,
        str(problem or ""),
        ready.variant,
    )
