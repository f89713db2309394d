"""What marketing knows of a shopper, the contract of `endcap:segment:{<user>}`."""

from typing import Literal

import msgspec

SEGMENT_TTL_S = 180 * 24 * 3600
"""Longer than a list: those who stay away are whom a segment is for."""
State = Literal["new", "active", "lapsing", "lapsed"]
Tier = Literal["high", "middle", "low"]


class Affinity(msgspec.Struct, frozen=True):
    """A category or brand and its share of what was bought, 0 to 1."""

    name: str
    share: float


class Segment(msgspec.Struct, frozen=True):
    """Made from a shopper's session alone, anew with each event.

    `version`: events folded, as of lists; `at_ms`: when it was made. `visits` to the till, days
    with a purchase, in the 91 days up to the last: from `first_ms` to `last_ms`; `spend` in them,
    at usual prices; `spend_per_visit`: the next one's, by the model.
    `expected_visits` in the next 28 days, `churn_risk`: the chance of none in them, and `value` in
    money in the next 365 days, as of `at_ms`; `tier` of that value among all shoppers.
    `discount_share`: of bought items, how often they sell at a discount; `seeks_discounts`: more
    than three quarters of the shoppers.

    Time alone moves somebody on: from `lapsing_from_ms` the shopper is lapsing, from
    `lapsed_from_ms` lapsed, whatever was written before. `state_at` tells.
    """

    version: int
    at_ms: int
    visits: int
    first_ms: int
    last_ms: int
    spend: float
    spend_per_visit: float
    expected_visits: float
    churn_risk: float
    value: float
    tier: Tier
    lapsing_from_ms: int
    lapsed_from_ms: int
    discount_share: float
    seeks_discounts: bool
    categories: tuple[Affinity, ...] = ()
    brands: tuple[Affinity, ...] = ()


_decoder = msgspec.json.Decoder(Segment)


def state_at(segment: Segment, now_ms: int) -> State:
    """Lapsed, lapsing, new (one visit so far) or active."""
    if now_ms >= segment.lapsed_from_ms:
        return "lapsed"
    if now_ms >= segment.lapsing_from_ms:
        return "lapsing"
    return "new" if segment.visits == 1 else "active"


def segment_key(user_id: str) -> str:
    """The Redis key of a user's segment; the braces are a cluster hash tag.

    >>> segment_key("u7")
    'endcap:segment:{u7}'
    """
    return f"endcap:segment:{{{user_id}}}"


def encode_segment(segment: Segment) -> bytes:
    """JSON bytes as they lie in Redis."""
    return msgspec.json.encode(segment)


def decode_segment(raw: bytes) -> Segment:
    """The inverse of `encode_segment`.

    Raises:
        msgspec.ValidationError: the value is not a segment of ours.
    """
    return _decoder.decode(raw)
