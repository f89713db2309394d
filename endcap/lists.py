"""The finished list of a shopper and its wire format, the contract of `endcap:rec:{<user>}`."""

import re
from typing import Literal, NamedTuple

import msgspec

REC_TTL_S = 7 * 24 * 3600
"""A list nobody refreshed for a week is staler than what is trending."""
GENERATION = 1 << 40
"""Between the versions of two generations: more events than any shopper has; 4096 generations stay
below 2^53, which every reader of JSON counts exactly."""


class ListItem(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One recommended item. `reason` is a sentence for the shopper.

    `propensity`: how likely it was to stand at its place; below 1 where the list explores.
    """

    id: str
    score: float
    reason: str
    propensity: float = 1.0


class RecommendationList(msgspec.Struct, frozen=True, omit_defaults=True):
    """A ready list, best first.

    `version` only moves forward for one user: it is the number of events folded into the session
    that the list was computed from, and `GENERATION` more for each time that all sessions were
    folded anew. `generated_at` is in Unix milliseconds. `variant`: of each experiment that the
    shopper is in, as `experiment=variant`, with commas.
    """

    version: int
    model: str
    generated_at: int
    items: tuple[ListItem, ...]
    variant: str = ""


_MADE_AT = re.compile(rb'"generated_at":([0-9]+)')
_decoder = msgspec.json.Decoder(RecommendationList)


def list_version(generation: int, events_folded: int) -> int:
    """Of a list made from a session of so many events, in a generation.

    A list of a later generation is newer than any of an earlier one, whatever has been folded.
    """
    return (generation - 1) * GENERATION + events_folded


def encode_list(ready: RecommendationList) -> bytes:
    """JSON bytes as they lie in Redis."""
    return msgspec.json.encode(ready)


def decode_list(raw: bytes) -> RecommendationList:
    """The inverse of `encode_list`.

    Raises:
        msgspec.ValidationError: the value is not a list of ours.
    """
    return _decoder.decode(raw)


def made_at_ms(raw: bytes) -> int:
    """When a list was made, in Unix milliseconds, from its bytes: a tenth of the time that decoding
    takes, for who asks it of each list that is shown.

    >>> made_at_ms(encode_list(RecommendationList(1, "spring", 1764000000000, ())))
    1764000000000
    """
    found = _MADE_AT.search(raw)
    if found is None:
        raise ValueError("No list of ours says nothing of when it was made.")
    return int(found[1])


def rec_key(user_id: str) -> str:
    """The Redis key of a user's list; the braces are a cluster hash tag.

    >>> rec_key("u7")
    'endcap:rec:{u7}'
    """
    return f"endcap:rec:{{{user_id}}}"


def similar_key(item_id: str) -> str:
    """The Redis key of an item's similar items."""
    return f"endcap:similar:{{{item_id}}}"


def item_key(item_id: str) -> str:
    """The Redis key of an item's hash."""
    return f"endcap:item:{{{item_id}}}"


TRENDING_KEY = "endcap:trending"
_STORE = "store:"
SHELF_TTL_S = REC_TTL_S


class Shelf(NamedTuple):
    """Where a list of items stands that is nobody's own: what trends `now`, in a `category`, in a
    `store`, or what is `similar` to an item. `of` names the category, store or item."""

    kind: Literal["now", "category", "store", "similar"]
    of: str = ""

    @property
    def has_key(self) -> bool:
        """False for a category whose key would be that of a store."""
        return self.kind != "category" or not self.of.startswith(_STORE)


def shelf_key(shelf: Shelf) -> str:
    """Its Redis key.

    >>> shelf_key(Shelf("category", "Dairy")), shelf_key(Shelf("store", "12"))
    ('endcap:trending:Dairy', 'endcap:trending:store:12')
    """
    if shelf.kind == "similar":
        return similar_key(shelf.of)
    if shelf.kind == "now":
        return f"{TRENDING_KEY}-now"
    return f"{TRENDING_KEY}:{_STORE if shelf.kind == 'store' else ''}{shelf.of}"
