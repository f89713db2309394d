"""What a shopper is shown of an item."""

from typing import NamedTuple

from msgspec import UNSET, UnsetType


class Facts(NamedTuple):
    """What is shown of an item beside its place in the list; UNSET: nothing is known of it."""

    title: str | UnsetType = UNSET
    category: str | UnsetType = UNSET
    price: float | UnsetType | None = UNSET


NOTHING = Facts()
