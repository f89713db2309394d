"""What was learned from, as one hash: whoever goes on with it must go on from the same."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap.catalogue import CatalogueItem
from endcap.export.data.interactions import Interactions


def fingerprint(events: Interactions, items: tuple[CatalogueItem, ...]) -> str:
    """SHA-256 of the events and of the ids that number their items."""
    found = hashlib.sha256()
    add_arrays(found, events)
    for item in items:
        found.update(item.item_id.encode() + b"\0")
    return found.hexdigest()


def add_arrays(digest: "hashlib._Hash", arrays: Iterable[npt.NDArray[Any]]) -> None:
    """Take the bytes of all, one after the other; they may be memory-mapped."""
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
