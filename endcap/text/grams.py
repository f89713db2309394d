"""A sentence as counts of its words and letters: what tells sentences apart in any script.

Beside vectors of words it carries what an encoder does not know: scripts that its vocabulary lacks,
typing errors, endings. Features fall into a fixed number of places by a hash (Weinberger et al.,
Feature Hashing for Large Scale Multitask Learning, ICML 2009).
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from xxhash import xxh32_intdigest

from endcap.arrays import FloatArray
from endcap.text.wordpiece import split_words

GRAMS = 8192
"""How many places there are."""
NUMBER = "0"
"""Stands for every number: which order it is does not change what is asked of it."""
_HAS_DIGIT = re.compile(r"\d")


def gram_vectors(texts: Sequence[str]) -> FloatArray:
    """Vectors [n, GRAMS] of length 1; a text without a single word gets zeros."""
    found = np.zeros((len(texts), GRAMS), dtype=np.float32)
    for row, text in enumerate(texts):
        for gram in _grams(text):
            found[row, xxh32_intdigest(gram.encode()) % GRAMS] += 1.0
    np.sqrt(found, out=found)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.maximum(lengths, 1e-9), dtype=np.float32)


def _grams(text: str) -> Iterator[str]:
    """Words, pairs and triples of neighbours, and runs of 3 and 4 letters within a word; of Han,
    where each character is a word, the pairs and triples are what a word is."""
    words = [NUMBER if _HAS_DIGIT.search(word) else word for word in split_words(text)]
    words = [word for word in words if word.isalnum() or word == "?"]
    padded = ["<", *words, ">"]
    yield from words
    yield from (f"{a} {b}" for a, b in pairwise(padded))
    yield from (f"{a} {b} {c}" for a, b, c in zip(padded, padded[1:], padded[2:], strict=False))
    for word in words:
        if len(word) > 2:
            marked = f"^{word}$"
            for size in (3, 4):
                yield from (marked[at : at + size] for at in range(len(marked) - size + 1))
