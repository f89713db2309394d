"""What an event says about items alone: no shopper is named in it."""

import msgspec

from endcap.events import Event, EventType

_COUNTED = {
    EventType.VIEW_ITEM: "view",
    EventType.ADD_TO_CART: "cart",
    EventType.PURCHASE: "purchase",
}


class ItemDelta(msgspec.Struct, frozen=True):
    """One event's items. (`source_partition`, `source_offset`) is its id: a consumer that has
    seen a higher offset of that partition skips it."""

    source_partition: int
    source_offset: int
    kind: str
    timestamp_ms: int
    items: tuple[tuple[str, int], ...]


def item_delta(event: Event, partition: int, offset: int) -> ItemDelta | None:
    """The delta of an event; None where it says nothing about demand."""
    kind = _COUNTED.get(event.event_name)
    if kind is None:
        return None
    return ItemDelta(
        partition,
        offset,
        kind,
        event.timestamp_ms,
        tuple((item.item_id, item.quantity) for item in event.items),
    )


def encode_delta(delta: ItemDelta) -> bytes:
    """JSON bytes for the topic `endcap.item-deltas`."""
    return msgspec.json.encode(delta)


def decode_delta(raw: bytes) -> ItemDelta:
    """The inverse of `encode_delta`."""
    return msgspec.json.decode(raw, type=ItemDelta)
