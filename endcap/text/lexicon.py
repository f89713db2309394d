"""Which texts of a catalogue hold the words of a phrase, typing errors forgiven."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from endcap.arrays import FloatArray, IntArray
from endcap.text.phrases import stem
from endcap.text.wordpiece import split_words

_SHORTEST_TO_CORRECT = 5
"""In shorter words one letter makes another word: peas, pears; beer, beef."""
_LEAST_DICE = 0.5


class Lexicon(NamedTuple):
    """`words` [W]: the stems in the texts; `texts_with` [W]: which texts hold each; `rarity` [W]:
    its inverse document frequency; `weights` [U]: the summed rarity of each text's words."""

    words: dict[str, int]
    texts_with: tuple[IntArray, ...]
    rarity: FloatArray
    weights: FloatArray


def build_lexicon(texts: Sequence[str]) -> Lexicon:
    """The lexicon of a catalogue's texts [U]."""
    holders: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        for word in {stem(word) for word in split_words(text) if word.isalnum()}:
            holders.setdefault(word, []).append(number)
    texts_with = tuple(np.array(rows, dtype=np.int32) for rows in holders.values())
    rarity = np.array([_rarity(len(texts), rows.size) for rows in texts_with], dtype=np.float32)
    weights = np.zeros(len(texts), dtype=np.float32)
    for rows, weight in zip(texts_with, rarity, strict=True):
        weights[rows] += weight
    return Lexicon({word: n for n, word in enumerate(holders)}, texts_with, rarity, weights)


def overlap(lexicon: Lexicon, words: Sequence[str]) -> FloatArray:
    """The share of the phrase that each text holds [U], words weighed by their rarity.

    A word that no text holds counts as the rarest: a phrase with it is held in part at most.
    """
    held = np.zeros(lexicon.weights.size, dtype=np.float32)
    total = 0.0
    for word in {stem(word) for word in words}:
        number = lexicon.words.get(word)
        if number is None:
            total += _rarity(lexicon.weights.size, 0)
        else:
            total += float(lexicon.rarity[number])
            held[lexicon.texts_with[number]] += lexicon.rarity[number]
    return held / max(total, 1e-9)


def correct(lexicon: Lexicon, word: str, is_word: Callable[[str], bool]) -> str:
    """The catalogue's word that a wrongly typed one means; the word itself where there is none.

    A word that a dictionary knows is taken as it stands: a "mouse" is no "mousse". Candidates share
    letter pairs (Dice at least 0.5) and differ by one letter, or by two from eight letters on, two
    neighbours in the wrong order being one (Damerau 1964).
    """
    own = stem(word)
    if len(own) < _SHORTEST_TO_CORRECT or own in lexicon.words or is_word(word) or is_word(own):
        return word
    allowed = 1 if len(own) < 8 else 2
    pairs = _pairs(own)
    near = [
        (_distance(own, other), -len(lexicon.texts_with[number]), other)
        for other, number in lexicon.words.items()
        if abs(len(other) - len(own)) <= allowed and _dice(pairs, _pairs(other)) >= _LEAST_DICE
    ]
    best = min(near, default=(allowed + 1, 0, word))
    return best[2] if best[0] <= allowed else word


def _rarity(texts: int, holding: int) -> float:
    return float(np.log(1 + texts / (holding + 0.5)))


def _pairs(word: str) -> set[str]:
    padded = f"^{word}$"
    return {padded[i : i + 2] for i in range(len(padded) - 1)}


def _dice(one: set[str], other: set[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other))


def _distance(one: str, other: str) -> int:
    """Letters to insert, delete, replace, or swap with their neighbour."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        row = [i]
        for j, b in enumerate(other, start=1):
            least = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                least = min(least, before[j - 2] + 1)
            row.append(least)
        before, last = last, row
    return last[-1]
