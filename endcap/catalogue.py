"""What is known of an item apart from who bought it, and which of two reports of it is newer."""

from typing import NamedTuple

import msgspec

from endcap.decoding import decode_with


class CatalogueItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One product as shoppers see it. `price` in the shop's currency, `stock` in pieces; None: not
    known. It is out of stock where `in_stock` is false, or `stock` is 0.

    `version` only rises for one item: a time of change, say. `previous_price` and
    `price_changed_ms` are endcap's own: what a shop says there is replaced.
    """

    item_id: str
    title: str
    category: str = ""
    department: str = ""
    price: float | None = None
    in_stock: bool = True
    version: int | None = None
    previous_price: float | None = None
    price_changed_ms: int | None = None
    brand: str = ""
    stock: int | None = None

    @property
    def is_sold_out(self) -> bool:
        """Whether nobody must be shown it."""
        return not self.in_stock or self.stock == 0


def has_title(item: CatalogueItem) -> bool:
    """Whether the shop says one; where it does not, the id stands for it.

    >>> has_title(CatalogueItem("1", "Milk")), has_title(CatalogueItem("1", "1"))
    (True, False)
    """
    return item.title not in ("", item.item_id)


class PriceChange(msgspec.Struct, frozen=True):
    """An item's price before and after. `at_ms`: when the shop published it, by the broker."""

    item_id: str
    old_price: float
    new_price: float
    at_ms: int
    version: int | None


class Publication(NamedTuple):
    """Where a record of the catalogue stands in its topic, and its time there."""

    offset: int
    at_ms: int


class Held(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of an item id: what was taken of it last, and from where in the topic.

    `item` is None after a deletion: the version stays, so that an older report, late, does not
    bring the item back.
    """

    item: CatalogueItem | None
    version: int | None
    offset: int


class Taken(NamedTuple):
    """What became of a record: `outcome` is `item`, `older_version` or `already_held`."""

    held: Held | None
    outcome: str
    change: PriceChange | None = None


def take(held: Held | None, said: CatalogueItem, at: Publication) -> Taken:
    """A report of an item, after what is held of it.

    A version that is not above the one held changes nothing. A report without a version is taken as
    it comes. What is read again after a crash is known by its offset.
    """
    if held is None:
        return Taken(Held(_own(said, None, None), said.version, at.offset), "item")
    # The version that is shown may come again, put behind an older one for compaction's sake.
    again = said.version is not None and said.version == held.version and held.item is not None
    if at.offset <= held.offset or again:
        return Taken(held, "already_held")
    if is_older(said.version, held.version):
        return Taken(held, "older_version")
    version = held.version if said.version is None else said.version
    was = held.item
    if was is None:
        return Taken(Held(_own(said, None, None), version, at.offset), "item")
    if was.price is None or said.price is None or was.price == said.price:
        item = _own(said, was.previous_price, was.price_changed_ms)
        return Taken(Held(item, version, at.offset), "item")
    change = PriceChange(said.item_id, was.price, said.price, at.at_ms, said.version)
    item = _own(said, was.price, at.at_ms)
    return Taken(Held(item, version, at.offset), "item", change)


def remove(held: Held | None, at: Publication) -> Held | None:
    """After a record without a value. None where nothing needs to be remembered."""
    if held is None or at.offset <= held.offset:
        return held
    return None if held.version is None else Held(None, held.version, at.offset)


def is_older(said: int | None, held: int | None) -> bool:
    """Whether a report of one version comes too late after another: it is not above it."""
    return said is not None and held is not None and said <= held


def change_key(change: PriceChange, at: Publication) -> bytes:
    """The record's key: the same however often the same change is written.

    >>> change_key(PriceChange("milk", 1.0, 2.0, 0, 7), Publication(5, 0))
    b'milk/7'
    >>> change_key(PriceChange("milk", 1.0, 2.0, 0, None), Publication(5, 0))
    b'milk/@5'
    """
    named = f"@{at.offset}" if change.version is None else change.version
    return f"{change.item_id}/{named}".encode()


_decoder = msgspec.json.Decoder(CatalogueItem)
_change_decoder = msgspec.json.Decoder(PriceChange)


def encode_item(item: CatalogueItem) -> bytes:
    """JSON bytes for the topic `endcap.catalogue`."""
    return msgspec.json.encode(item)


def decode_item(raw: bytes) -> CatalogueItem:
    """The inverse of `encode_item`.

    Raises:
        msgspec.DecodeError: a field is missing or of the wrong type, or it is no JSON.
    """
    return decode_with(_decoder, raw)


def encode_change(change: PriceChange) -> bytes:
    """JSON bytes for the topic `endcap.price-changes`."""
    return msgspec.json.encode(change)


def decode_change(raw: bytes) -> PriceChange:
    """The inverse of `encode_change`.

    Raises:
        msgspec.DecodeError: a field is missing or of the wrong type, or it is no JSON.
    """
    return decode_with(_change_decoder, raw)


def _own(
    said: CatalogueItem, previous_price: float | None, price_changed_ms: int | None
) -> CatalogueItem:
    return msgspec.structs.replace(
        said, previous_price=previous_price, price_changed_ms=price_changed_ms
    )
