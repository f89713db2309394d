"""What was learned from, as one hash: whoever goes on with it must go on from the same."""

import hashlib

import numpy as np

from endcap.catalogue import CatalogueItem
from endcap.export.data.interactions import Interactions


def fingerprint(events: Interactions, items: tuple[CatalogueItem, ...]) -> str:
    """SHA-256 of the events and of the ids that number their items."""
    found = hashlib.sha256()
    for array in events:
        found.update(np.ascontiguousarray(array).data)
    for item in items:
        found.update(item.item_id.encode() + b"\0")
    return found.hexdigest()
