"""What a page says it has shown, or what was clicked: the records of `endcap.impressions`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from endcap.errors import InvalidEventError
from endcap.events import MAX_FUTURE_MS, MAX_ID_LENGTH
from endcap.wrong_fields import EARLIEST_MS, in_words

MAX_IMPRESSIONS = 100
MAX_SHOWN = 200

_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]
_Label = Annotated[str, Meta(max_length=MAX_ID_LENGTH)]


class ShownAt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An item and its place in the strip, from 1."""

    id: _Id
    position: Annotated[int, Meta(ge=1, le=10_000)]


class Impression(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One strip shown, or the items of it that were clicked.

    `impression_id` is the page's own; with `kind` it is what a repeat is known by. `list_version`,
    `model` and `variant` are those of the answer that was shown. `propensity`: for each item, with
    which chance it was put there.
    """

    impression_id: _Id
    user_id: _Id
    kind: Literal["shown", "clicked"]
    placement: Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]
    items: Annotated[tuple[ShownAt, ...], Meta(min_length=1, max_length=MAX_SHOWN)]
    list_version: Annotated[int, Meta(ge=0)]
    model: _Label
    timestamp_ms: Annotated[int, Meta(ge=EARLIEST_MS)]
    variant: _Label | None = None
    propensity: (
        Annotated[tuple[Annotated[float, Meta(gt=0, le=1)], ...], Meta(max_length=MAX_SHOWN)] | None
    ) = None


_CHOICES = {"kind": ("shown", "clicked")}
_decoder = msgspec.json.Decoder(Impression)
_encoder = msgspec.json.Encoder()


def encode_impression(impression: Impression) -> bytes:
    """JSON bytes for the topic."""
    return _encoder.encode(impression)


def parse_impression(raw: bytes, now_ms: int) -> Impression:
    """Decode and validate.

    Raises:
        InvalidEventError: with a sentence that says what is wrong.
    """
    try:
        impression = _decoder.decode(raw)
    except msgspec.ValidationError as error:
        said = in_words(error, _CHOICES)
        raise InvalidEventError("schema", f"{said}. See docs/http.md for the fields.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEventError("not_json", f"The body is not JSON ({error}).") from error
    if impression.timestamp_ms > now_ms + MAX_FUTURE_MS:
        raise InvalidEventError(
            "future", "timestamp_ms lies ahead of this clock; is it in milliseconds?"
        )
    shown = impression.propensity
    if shown is not None and len(shown) != len(impression.items):
        raise InvalidEventError(
            "propensity",
            f"propensity has {len(shown)} numbers for {len(impression.items)} items: one each.",
        )
    return impression
