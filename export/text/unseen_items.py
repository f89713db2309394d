"""Items of the catalogue that no event has named get their place in the Transformer by text."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from endcap.arrays import FloatArray, IntArray
from endcap.catalogue import CatalogueItem
from endcap.export.data.interactions import Interactions
from endcap.export.encoder import SessionEncoder
from endcap.export.retrieval import all_item_vectors
from endcap.export.text.cold_items import place_cold_items
from endcap.text import Words, distinct_texts


class ItemTexts(NamedTuple):
    """`vectors` [V+1, t]: of each item's text, of length 1; zeros where it has none. `placeable`
    [V+1]: what the shop itself says that it sells, and has a text. An item that is known from
    events alone is not: if they are those of the test, that it exists is part of the answer."""

    vectors: FloatArray
    placeable: npt.NDArray[np.bool_]


def item_texts(items: Sequence[CatalogueItem], offered: IntArray, words: Words) -> ItemTexts:
    """What the words of these items say of each; `offered`: as `DataSet` has it."""
    texts, text_of = distinct_texts(items)
    of_texts = words.text_vectors * words.text_scales[:, None]
    vectors = np.zeros((len(items) + 1, of_texts.shape[1]), dtype=np.float32)
    vectors[1:] = of_texts[text_of]
    has_text = np.array([False, *(bool(texts[number]) for number in text_of)])
    placeable = np.zeros(len(items) + 1, dtype=np.bool_)
    placeable[offered] = True
    return ItemTexts(vectors, placeable & has_text)


class Placed(NamedTuple):
    """`rows` [n]: indexes of the items that were placed. `shares` [V+1, k]: as they were, and those
    of like items for these."""

    rows: npt.NDArray[np.intp]
    shares: FloatArray


def place_unseen(
    encoder: SessionEncoder,
    shares: FloatArray,
    known: Interactions,
    items: Sequence[CatalogueItem],
    texts: ItemTexts,
) -> Placed:
    """Overwrite, in place, the vectors of items that no event of `known` names.

    `shares` [V+1, k]: how popular each item is. Call it after training and before the export: until
    then such a vector is zero (`SessionEncoder.keep_only`). From then on the graph adds the item to
    a shopper's candidates where it lies near, and a session that names it says something. What is
    not `placeable` stays as it is.
    """
    seen = np.bincount(known.items, minlength=encoder.n_items + 1) > 0
    seen[0] = False
    unseen = np.flatnonzero(texts.placeable & ~seen)
    like = seen & (texts.vectors != 0).any(axis=1)
    if not unseen.size or not like.any():
        return Placed(np.empty(0, dtype=np.intp), shares)
    vectors = all_item_vectors(encoder).cpu().numpy()
    told = np.concatenate([vectors, shares], axis=1, dtype=np.float32)
    placed = place_cold_items(items, texts.vectors, told, like)[unseen]
    dim = vectors.shape[1]
    with torch.no_grad():
        # As long as what was trained: the next step of an optimiser would else turn it too fast.
        length = encoder.items.weight[torch.from_numpy(seen)].norm(dim=1).median()
        directions = torch.nn.functional.normalize(torch.from_numpy(placed[:, :dim]), dim=1)
        encoder.items.weight[torch.from_numpy(unseen)] = directions * length
    of_like = shares.copy()
    of_like[unseen] = placed[:, dim:]
    return Placed(unseen, of_like)
