"""What a page posts for the topic `endcap.impressions`: a record of it, with no word too many."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from endcap.consent import DENIED, refuse_denied
from endcap.errors import ConsentDeniedError, InvalidEventError
from endcap.experiments.impression import MAX_SHOWN, Impression, ShownAt
from endcap.serving.bodies import decoded, refuse_the_future
from endcap.wrong_fields import EARLIEST_MS

MAX_IMPRESSIONS = 100


class PostedItem(ShownAt, frozen=True, forbid_unknown_fields=True, gc=False):
    """An item and its place in the strip, from 1, the top."""


class PostedImpression(
    Impression, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False
):
    """One strip shown, or the items of it that were clicked.

    `impression_id` is the page's own; with `kind` it is what a repeat is known by. `list_version`,
    `model` and `variant` are those of the answer that was shown. `propensity`: for each item, with
    which chance it was put there.
    """

    items: Annotated[tuple[PostedItem, ...], Meta(min_length=1, max_length=MAX_SHOWN)]
    timestamp_ms: Annotated[int, Meta(ge=EARLIEST_MS)]
    consent: Literal["granted", "denied"] | None = None


_CHOICES = {"kind": ("shown", "clicked")}
_decoder = msgspec.json.Decoder(PostedImpression)


def parse_impression(raw: bytes, now_ms: int) -> PostedImpression:
    """Decode and validate.

    Raises:
        ConsentDeniedError: the shopper has refused, whatever else is wrong.
        InvalidEventError: with a sentence that says what is wrong.
    """
    refuse_denied(raw)
    impression = decoded(_decoder, raw, "docs/http.md", _CHOICES)
    if impression.consent == DENIED:
        raise ConsentDeniedError
    refuse_the_future(impression.timestamp_ms, now_ms)
    shown = impression.propensity
    if shown is not None and len(shown) != len(impression.items):
        raise InvalidEventError(
            "propensity",
            f"propensity has {len(shown)} numbers for {len(impression.items)} items: one each.",
        )
    return impression
