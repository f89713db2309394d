"""Which phrases of a sentence name which items of a catalogue, and which name nothing in it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from endcap.arrays import FloatArray
from endcap.text.index import TextIndex
from endcap.text.lexicon import correct, overlap
from endcap.text.phrases import Phrase, phrases_of

_LEXICAL_SHARE = 0.3
_ALL = 1 - 1e-6
_HELD_AS_GOOD = 0.08
_AS_GOOD = 0.01
"""Texts this near to the best name the phrase as well, and what is bought most is meant. Texts that
hold all its words may be further away: "milk" is nearer to "canned milk" than to "fluid milk"."""


class Mention(NamedTuple):
    """`phrase` as understood, `similarity` (0 to 1) of the text that it names most, and the items
    meant: indexes from 1, best first."""

    phrase: str
    similarity: float
    text: str
    items: tuple[int, ...]


class Understood(NamedTuple):
    """`mentions` found something; `nothing_like`: phrases that the catalogue has nothing like."""

    mentions: tuple[Mention, ...]
    nothing_like: tuple[str, ...]


def find_items(
    sentence: str, index: TextIndex, popularity: FloatArray, most: int = 3
) -> Understood:
    """At most `most` items for each phrase of a sentence; `popularity` [V+1] by item index.

    A text is as similar as its vector's cosine with the phrase's, raised where it holds the
    phrase's words (by their rarity). Phrases that "and" ties together are one where a text holds
    the words of all ("macaroni and cheese"). Words without anything between them are taken one by
    one where that is how the catalogue has them ("milk eggs bananas").
    """
    mentions: list[Mention] = []
    nothing: list[str] = []
    for phrase in _tied(phrases_of(sentence, index.breaks), index):
        words = tuple(correct(index.lexicon, w, index.encoder.is_word) for w in phrase.words)
        whole = _best(words, index, popularity, most)
        is_found = whole.similarity >= index.least_similarity
        if len(words) > 1 and (not is_found or _is_a_list(words, index)):
            parts = [_best((word,), index, popularity, most) for word in words]
            # One known word of several hints at something else: a "drum kit" is no drum.
            if all(part.similarity >= index.least_similarity for part in parts):
                mentions += parts
                continue
        if is_found:
            mentions.append(whole)
        else:
            nothing.append(phrase.text)
    return Understood(tuple(mentions), tuple(nothing))


def similarities(words: Sequence[str], index: TextIndex) -> FloatArray:
    """How similar each text [U] is to a phrase."""
    return _raised(words, overlap(index.lexicon, words), index)


def _raised(words: Sequence[str], held: FloatArray, index: TextIndex) -> FloatArray:
    dense = index.vectors @ index.encoder.encode([" ".join(words)])[0]
    both = _LEXICAL_SHARE * held + (1 - _LEXICAL_SHARE) * dense
    raised: FloatArray = np.maximum(dense, both)
    return raised


def _best(words: Sequence[str], index: TextIndex, popularity: FloatArray, most: int) -> Mention:
    held = overlap(index.lexicon, words)
    similar = _raised(words, held, index)
    best = float(similar.max(initial=0.0))
    named = np.flatnonzero((held >= _ALL) & (similar >= best - _HELD_AS_GOOD))
    if not named.size:
        named = np.flatnonzero(similar >= best - _AS_GOOD)
    items = np.concatenate([index.items_of[text] for text in named] or [np.empty(0, np.int32)])
    order = items[np.argsort(-popularity[items], kind="stable")[:most]]
    text = index.texts[int(similar.argmax())] if similar.size else ""
    return Mention(" ".join(words), round(best, 3), text, tuple(map(int, order)))


def _is_a_list(words: Sequence[str], index: TextIndex) -> bool:
    """Three words or more, each somewhere in the catalogue, and no text holds two of them."""
    alone = [overlap(index.lexicon, (word,)) >= _ALL for word in words]
    together = np.sum(alone, axis=0)
    return len(words) > 2 and all(map(np.any, alone)) and int(together.max(initial=0)) == 1


def _tied(phrases: Sequence[Phrase], index: TextIndex) -> list[Phrase]:
    """Neighbours tied by "and" as one phrase where one text holds the words of both."""
    tied: list[Phrase] = []
    for phrase in phrases:
        if tied and tied[-1].joined == phrase.joined:
            both = (*tied[-1].words, *phrase.words)
            if overlap(index.lexicon, both).max(initial=0.0) >= _ALL:
                tied[-1] = Phrase(both, phrase.joined)
                continue
        tied.append(phrase)
    return tied
