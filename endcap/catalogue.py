"""What is known of an item apart from who bought it."""

import msgspec


class CatalogueItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One product as shoppers see it. `price` in the shop's currency; None: not known."""

    item_id: str
    title: str
    category: str = ""
    department: str = ""
    price: float | None = None
    in_stock: bool = True


_decoder = msgspec.json.Decoder(CatalogueItem)


def encode_item(item: CatalogueItem) -> bytes:
    """JSON bytes for the topic `endcap.catalogue`."""
    return msgspec.json.encode(item)


def decode_item(raw: bytes) -> CatalogueItem:
    """The inverse of `encode_item`.

    Raises:
        msgspec.ValidationError: a field is missing or of the wrong type.
    """
    return _decoder.decode(raw)
