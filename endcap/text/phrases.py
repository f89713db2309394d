"""A sentence as the phrases that may each name an item: its other words left out.

"I bought 2 gallons of milk, and some eggs" is "milk" and "eggs".
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from endcap.text.small_words import AND, MEASURES, OF, STOP
from endcap.text.wordpiece import split_words

_BREAK = re.compile(r"[,;:.!?\n\u3001\u3002\uff0c]+(?!\d)|\s[-\u2013]\s")
_NUMBER = re.compile(r"[#$]?\d+([.,/]\d+)*(st|nd|rd|th)?%?")
_NUMBER_AND_UNIT = re.compile(r"\d+([.,/]\d+)?[a-z]{1,3}")


class Phrase(NamedTuple):
    """`words`: lower case, without accents. Phrases that "and" ties together share `joined`."""

    words: tuple[str, ...]
    joined: int

    @property
    def text(self) -> str:
        """As one text."""
        return " ".join(self.words)


def phrases_of(sentence: str, breaks: frozenset[str] = frozenset()) -> tuple[Phrase, ...]:
    """The phrases in their order; `breaks`: more words that end a phrase and are in none.

    >>> [p.text for p in phrases_of("I bought 2 gallons of milk, and some sandwich bags.")]
    ['milk', 'sandwich bags']
    """
    found: list[Phrase] = []
    for number, part in enumerate(_BREAK.split(sentence)):
        words: list[str] = []
        for word in (*split_words(part), "and"):
            if word in AND or word in breaks:
                kept = _named(words)
                if kept:
                    found.append(Phrase(kept, number))
                words = []
            else:
                words.append(word)
    return tuple(found)


def without_measures(title: str) -> str:
    """A title less its sizes and counts: "Yogurt, 6 oz" is "yogurt".

    >>> without_measures("Soft drinks, 12 pk/12 oz"), without_measures("Bar soap")
    ('soft drinks', 'bar soap')
    """
    kept: list[str] = []
    after_number = False
    for word in split_words(title):
        is_number = is_a_number(word)
        if word.isalnum() and not is_number and not (after_number and word in MEASURES):
            kept.append(word)
        if word.isalnum():
            after_number = is_number or (after_number and word in MEASURES)
    return " ".join(kept)


def is_a_number(word: str) -> bool:
    """A number, a price, or a number with its unit: 12, 1/2, 60cm."""
    return bool(_NUMBER.fullmatch(word) or _NUMBER_AND_UNIT.fullmatch(word))


def stem(word: str) -> str:
    """The word without an English plural's ending.

    >>> [stem(w) for w in ("tomatos", "tomatoes", "berries", "glass", "sandwiches", "gas")]
    ['tomato', 'tomato', 'berry', 'glass', 'sandwich', 'gas']
    """
    if len(word) < 4 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("oes", "xes", "ches", "shes", "sses")):
        return word[:-2]
    return word.removesuffix("s")


def _named(words: Iterable[str]) -> tuple[str, ...]:
    """What is left of a phrase: no quantity before "of", no number, no stop word."""
    kept: list[str] = []
    counted = False
    for word in words:
        if not any(char.isalnum() for char in word):
            continue
        if is_a_number(word):
            counted = True
        elif word in OF and kept and kept[-1] in MEASURES:
            kept.pop()
        elif not (word in STOP or (counted and word in MEASURES)):
            kept.append(word)
            counted = False
    return tuple(kept)
