"""What comes back from a page: that a list was shown, or clicked on."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from endcap.events import MAX_ID_LENGTH, MAX_ITEMS

_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]


class ShownItem(msgspec.Struct, frozen=True, gc=False):
    """An item and its place in the list, from 1, the top."""

    id: _Id
    position: Annotated[int, Meta(ge=1)]


class Impression(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A record of the topic `endcap.impressions`, keyed by user.

    `impression_id` is of the showing: the same in its `clicked`. A record whose id and kind have
    come before is a repeated beacon and counts no more. `items` of a click: what was clicked.
    `variant`, `list_version`, `model` and `propensity` are the list's own.
    """

    impression_id: _Id
    user_id: _Id
    kind: Literal["shown", "clicked"]
    timestamp_ms: Annotated[int, Meta(gt=0)]
    placement: str = ""
    items: Annotated[tuple[ShownItem, ...], Meta(max_length=MAX_ITEMS)] = ()
    list_version: int = 0
    model: str = ""
    variant: str | None = None
    propensity: tuple[float, ...] | None = None


_decoder = msgspec.json.Decoder(Impression)


def encode_impression(impression: Impression) -> bytes:
    """JSON bytes for the topic."""
    return msgspec.json.encode(impression)


def decode_impression(raw: bytes) -> Impression:
    """The inverse of `encode_impression`.

    Raises:
        msgspec.ValidationError: the value is no impression.
    """
    return _decoder.decode(raw)
