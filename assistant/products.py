"""Which products of the catalogue a phrase names: the bundle's words where it has them."""

from collections.abc import Sequence

import numpy as np

from endcap.arrays import FloatArray
from endcap.assistant.bm25 import Bm25, terms_of
from endcap.catalogue import CatalogueItem
from endcap.text import TextIndex, find_items

MOST = 8
_ALL = 1 - 1e-6


class ProductFinder:
    """`items` [V], their `popularity` [V+1] by index from 1; `index`: of the same items."""

    def __init__(
        self, items: Sequence[CatalogueItem], popularity: FloatArray, index: TextIndex | None
    ) -> None:
        self._items = items
        self._popularity = popularity
        self._index = index
        self._lexical = Bm25([f"{item.title} {item.category}" for item in items])

    def find(self, phrase: str, most: int = MOST) -> list[str]:
        """The ids of at most `most` products, what is bought most first; none where the catalogue
        has nothing like it.

        Products that hold all words of the phrase come first; then what its words are near to.
        """
        terms = terms_of(phrase)
        whole = np.flatnonzero(self._lexical.coverage(terms) >= _ALL) if terms else ()
        held = [int(at) + 1 for at in whole]
        if self._index is not None:
            understood = find_items(phrase, self._index, self._popularity, most)
            if not understood.nothing_like and len(understood.mentions) == 1:
                meant = understood.mentions[0].items
                rest = self._by_popularity([at for at in held if at not in meant])
                return [self._items[at - 1].item_id for at in (*meant, *rest)[:most]]
            if not understood.mentions or understood.nothing_like:
                return []
        return [self._items[at - 1].item_id for at in self._by_popularity(held)[:most]]

    def _by_popularity(self, held: Sequence[int]) -> list[int]:
        return sorted(held, key=lambda at: -float(self._popularity[at]))
