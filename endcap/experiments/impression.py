"""What comes back from a page: that a list was shown, or clicked on."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from endcap.decoding import decode_with
from endcap.events import MAX_ID_LENGTH

MAX_SHOWN = 200

_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]
_Label = Annotated[str, Meta(max_length=MAX_ID_LENGTH)]
_Propensity = Annotated[float, Meta(gt=0, le=1)]


class ShownAt(msgspec.Struct, frozen=True, gc=False):
    """An item and its place in the strip, from 1, the top."""

    id: _Id
    position: Annotated[int, Meta(ge=1, le=10_000)]


class Impression(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A record of the topic `endcap.impressions`, keyed by user: one strip shown, or the items of
    it that were clicked.

    `impression_id` is of the showing, and the page's own: the same in its `clicked`. A record whose
    id and kind have come before is a repeated beacon and counts no more. `list_version`, `model`,
    `variant` and `propensity` (one for each item) are those of the list that was shown.
    """

    impression_id: _Id
    user_id: _Id
    kind: Literal["shown", "clicked"]
    placement: _Id
    items: Annotated[tuple[ShownAt, ...], Meta(min_length=1, max_length=MAX_SHOWN)]
    list_version: Annotated[int, Meta(ge=0)]
    model: _Label
    timestamp_ms: Annotated[int, Meta(gt=0)]
    variant: _Label | None = None
    propensity: Annotated[tuple[_Propensity, ...], Meta(max_length=MAX_SHOWN)] | None = None


_decoder = msgspec.json.Decoder(Impression)
_encoder = msgspec.json.Encoder()


def encode_impression(impression: Impression) -> bytes:
    """JSON bytes for the topic."""
    return _encoder.encode(impression)


def decode_impression(raw: bytes) -> Impression:
    """The inverse of `encode_impression`; fields that another writer adds are passed over.

    Raises:
        msgspec.DecodeError: the value is no impression.
    """
    return decode_with(_decoder, raw)
