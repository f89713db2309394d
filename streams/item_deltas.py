"""What events say about items alone: no shopper is named in it."""

from collections.abc import Iterator, Sequence

import msgspec

from endcap.decoding import decode_with
from endcap.events import EventType

COUNTED = {
    EventType.VIEW_ITEM.code: "view",
    EventType.ADD_TO_CART.code: "cart",
    EventType.PURCHASE.code: "purchase",
}
"""What says something about demand, by the type's code."""


class ItemDelta(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One event's items. (`source_partition`, `source_offset`) is its id: who has counted a
    higher offset of that partition for an item skips it."""

    source_partition: int
    source_offset: int
    kind: str
    timestamp_ms: int
    item_ids: tuple[str, ...]
    store_id: str = ""


LINES_A_RECORD = 2000
"""Far below the broker's largest record, long item ids included."""
_decoder = msgspec.json.Decoder(tuple[ItemDelta, ...])


def encode_deltas(deltas: Sequence[ItemDelta]) -> Iterator[bytes]:
    """JSON records for `endcap.item-deltas`, each a batch of deltas, oldest first.

    One record a batch, not one an event: the item side's cost is by the record.
    """
    batch: list[ItemDelta] = []
    lines = 0
    for delta in deltas:
        if batch and lines + len(delta.item_ids) > LINES_A_RECORD:
            yield msgspec.json.encode(batch)
            batch, lines = [], 0
        batch.append(delta)
        lines += len(delta.item_ids)
    if batch:
        yield msgspec.json.encode(batch)


def decode_deltas(raw: bytes) -> tuple[ItemDelta, ...]:
    """The inverse of `encode_deltas`.

    Raises:
        msgspec.MsgspecError: the record is not one of ours.
    """
    return decode_with(_decoder, raw)
