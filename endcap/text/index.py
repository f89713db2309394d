"""A catalogue as words can find it: its distinct texts, their vectors and their lexicon."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from endcap.arrays import FloatArray, IntArray
from endcap.catalogue import CatalogueItem, has_title
from endcap.errors import BundleError
from endcap.text.encoder import TextEncoder
from endcap.text.lexicon import Lexicon, build_lexicon
from endcap.text.phrases import without_measures
from endcap.text.words_file import Words, fingerprint_of


class TextIndex(NamedTuple):
    """`texts` [U]; `items_of` [U]: the item indexes with each; `vectors` [U, d] of length 1;
    `least_similarity`: below it, a phrase names nothing here; `breaks`: see `phrases_of`."""

    texts: tuple[str, ...]
    items_of: tuple[IntArray, ...]
    vectors: FloatArray
    lexicon: Lexicon
    encoder: TextEncoder
    least_similarity: float
    breaks: frozenset[str]


def item_text(item: CatalogueItem) -> str:
    """What words may find an item by: its title without sizes, and its category. An id that
    stands for a title is none.

    >>> item_text(CatalogueItem("1", "Yogurt, 6 oz", "Dairy")), item_text(CatalogueItem("x", "x"))
    ('yogurt, dairy', '')
    """
    said = (item.title if has_title(item) else "", item.category)
    return ", ".join(part for part in map(without_measures, said) if part)


def distinct_texts(items: Sequence[CatalogueItem]) -> tuple[tuple[str, ...], IntArray]:
    """The texts [U] in alphabetical order, and which of them each item has [V]."""
    of_items = [item_text(item) for item in items]
    texts = tuple(sorted(set(of_items)))
    number_of = {text: number for number, text in enumerate(texts)}
    return texts, np.array([number_of[text] for text in of_items], dtype=np.int32)


def open_index(items: Sequence[CatalogueItem], words: Words, encoder: TextEncoder) -> TextIndex:
    """The index of a bundle's items.

    Raises:
        BundleError: the words were made for other items.
    """
    texts, text_of = distinct_texts(items)
    if words.about.texts != fingerprint_of(texts):
        raise BundleError(
            "The bundle's words were made for other titles or categories than its items have. Make "
            "them anew: endcap words --bundle FOLDER."
        )
    by_text = np.argsort(text_of, kind="stable").astype(np.int32) + 1
    ends = np.cumsum(np.bincount(text_of, minlength=len(texts)))
    return TextIndex(
        texts,
        tuple(np.split(by_text, ends[:-1])),
        words.text_vectors * words.text_scales[:, None],
        build_lexicon(texts),
        encoder,
        words.about.least_similarity,
        frozenset(words.about.breaks),
    )
