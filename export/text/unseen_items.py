"""Items of the catalogue that training never met get their place in the Transformer by text."""

from collections.abc import Sequence

import numpy as np
import torch

from endcap.catalogue import CatalogueItem
from endcap.export.data.interactions import Interactions
from endcap.export.encoder import SessionEncoder
from endcap.export.text.cold_items import place_cold_items
from endcap.text import TextEncoder, item_text


def place_unseen(
    encoder: SessionEncoder,
    known: Interactions,
    items: Sequence[CatalogueItem],
    texts: TextEncoder,
) -> int:
    """Overwrite, in place, the vectors of items that no event of `known` names; returns how many.

    Call it after training and before the export: until then such a vector is the random one that
    it began as. From then on the graph adds the item to a shopper's candidates where it lies near,
    and a session that names it says something. Items without a title stay as they are.
    """
    counts = np.bincount(known.items, minlength=encoder.n_items + 1)
    said = ["", *(item_text(item) for item in items)]
    unseen = np.array([not count and bool(text) for count, text in zip(counts, said, strict=True)])
    if not unseen.any():
        return 0
    with torch.no_grad():
        vectors = encoder.item_vectors(torch.arange(encoder.n_items + 1)).numpy()
        placed = place_cold_items(items, texts.encode(said), vectors, ~unseen)
        # As long as what was trained: the next step of an optimiser would else turn it too fast.
        length = encoder.items.weight[1:].norm(dim=1).median()
        rows = torch.from_numpy(np.flatnonzero(unseen))
        directions = torch.nn.functional.normalize(torch.from_numpy(placed[unseen]), dim=1)
        encoder.items.weight[rows] = directions * length
    return int(unseen.sum())
