"""BM25 over short texts: which of them holds the words of a question.

Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009.
"""

from collections.abc import Sequence

import numpy as np

from endcap.arrays import FloatArray
from endcap.assistant.question import is_han
from endcap.assistant.small_words import LIGHT
from endcap.text.phrases import stem
from endcap.text.wordpiece import split_words

_K1, _B = 1.2, 0.75


def terms_of(text: str) -> list[str]:
    """Stems without small words; of Han, pairs of neighbours, and single characters that are no
    small words.

    >>> terms_of("How do I return the apples?"), terms_of("怎么退货")
    (['return', 'apple'], ['退', '么退', '货', '退货'])
    """
    found: list[str] = []
    before = ""
    for word in split_words(text):
        is_one = is_han(word)
        if word.isalnum() and word not in LIGHT:
            found.append(word if is_one else stem(word))
        if is_one and before and not (before in LIGHT and word in LIGHT):
            found.append(before + word)
        before = word if is_one else ""
    return found


class Bm25:
    """The index of some texts [n]."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._size = len(texts)
        terms = [terms_of(text) for text in texts]
        lengths = np.array([len(each) for each in terms], dtype=np.float32)
        self._norm = (
            _K1 * (1 - _B + _B * lengths / max(float(lengths.mean()), 1.0)) if terms else lengths
        )
        self._held: dict[str, tuple[list[int], list[int]]] = {}
        for row, each in enumerate(terms):
            for term in dict.fromkeys(each):
                rows, counts = self._held.setdefault(term, ([], []))
                rows.append(row)
                counts.append(each.count(term))

    def scores(self, terms: Sequence[str]) -> FloatArray:
        """BM25 of each text [n]."""
        found = np.zeros(self._size, dtype=np.float32)
        for term in dict.fromkeys(terms):
            rows, counts = self._held.get(term, ([], []))
            if rows:
                held = np.array(counts, dtype=np.float32)
                found[rows] += self.rarity(term) * held * (_K1 + 1) / (held + self._norm[rows])
        return found

    def coverage(self, terms: Sequence[str]) -> FloatArray:
        """The share of the question that each text holds [n], terms weighed by their rarity."""
        found = np.zeros(self._size, dtype=np.float32)
        whole = 0.0
        for term in dict.fromkeys(terms):
            weight = self.rarity(term)
            whole += weight
            found[self._held.get(term, ([], []))[0]] += weight
        return found / max(whole, 1e-9)

    def rarity(self, term: str) -> float:
        """The inverse document frequency, never below 0."""
        holding = len(self._held.get(term, ([], []))[0])
        return float(np.log(1 + (self._size - holding + 0.5) / (holding + 0.5)))
