"""Does a catalogue find what it has, and say so where it has nothing like it?"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from endcap.arrays import FloatArray
from endcap.catalogue import CatalogueItem
from endcap.text import TextIndex, find_items


class Refusal(NamedTuple):
    """At a least similarity: shares of what is sold that is refused (`lost`) and of what is not
    sold that is refused (`recall`); `precision`: of what is refused, the share that is not sold."""

    least_similarity: float
    precision: float
    recall: float
    lost: float


def found_share(
    wanted: Mapping[str, str],
    index: TextIndex,
    items: Sequence[CatalogueItem],
    popularity: FloatArray,
) -> float:
    """The share of phrases whose first item is what was meant: a pattern each, searched in "title |
    category" in lower case."""
    open_to_all = index._replace(least_similarity=-1.0)
    right = 0
    for phrase, pattern in wanted.items():
        mentions = find_items(phrase, open_to_all, popularity).mentions
        item = items[mentions[0].items[0] - 1] if mentions else CatalogueItem("", "")
        right += bool(re.search(pattern, f"{item.title} | {item.category}".lower()))
    return right / len(wanted)


def best_similarities(
    phrases: Sequence[str], index: TextIndex, popularity: FloatArray
) -> FloatArray:
    """How similar the catalogue's nearest text is to each phrase [n]; 0 where it names nothing."""
    open_to_all = index._replace(least_similarity=-1.0)
    found = [find_items(phrase, open_to_all, popularity).mentions for phrase in phrases]
    return np.array([max((m.similarity for m in row), default=0.0) for row in found], np.float32)


def refusal_at(least_similarity: float, sold: FloatArray, not_sold: FloatArray) -> Refusal:
    """What a least similarity refuses of phrases by their best similarities."""
    lost, refused = int((sold < least_similarity).sum()), int((not_sold < least_similarity).sum())
    return Refusal(
        least_similarity,
        refused / max(1, refused + lost),
        refused / not_sold.size,
        lost / sold.size,
    )


def best_refusal(sold: FloatArray, not_sold: FloatArray) -> float:
    """The least similarity that refuses most of what is not sold and least of what is."""
    tried = np.unique(np.concatenate([sold, not_sold]))
    gains = [(not_sold < at).mean() - (sold < at).mean() for at in tried]
    return float(tried[int(np.argmax(gains))])
