"""WordPiece as BERT's uncased models have it: clean, strip accents, lower, split, longest first.

Devlin et al., BERT, NAACL 2019; the greedy search is Wu et al., arXiv 1609.08144, section 4.1. It
is written out here because the reference tokenizer is a compiled library that serving and the demo
would need for this alone; tests compare the two.
"""

import re
import unicodedata
from collections.abc import Mapping

_LONGEST_WORD = 100
"""The reference makes one unknown piece of a word with more characters."""
_ASCII_WORD = re.compile(r"[a-z0-9]+|[!-/:-@\[-`{-~]")
_ASCII_CLEANED = dict.fromkeys([*range(32), 127]) | dict.fromkeys(map(ord, "\t\n\r"), " ")
"""Controls vanish, and join what stands around them; tabs and line ends part it."""


def split_words(text: str) -> list[str]:
    """Lower-case words without accents; each punctuation mark and each Han character alone.

    >>> split_words("Crème brûlée, 4 ct")
    ['creme', 'brulee', ',', '4', 'ct']
    """
    if text.isascii():  # most titles, in a seventh of the time
        return _ASCII_WORD.findall(text.translate(_ASCII_CLEANED).lower())
    return split_any_words(text)


def split_any_words(text: str) -> list[str]:
    """The same, character by character, of any script."""
    spaced = "".join(_cleaned(char) for char in text)
    plain = (c for c in unicodedata.normalize("NFD", spaced) if unicodedata.category(c) != "Mn")
    # Character by character: Python's lower() of a whole word would write a Greek final sigma.
    lowered = "".join(c.lower() for c in plain)
    return "".join(f" {c} " if _is_punctuation(c) else c for c in lowered).split()


def pieces(word: str, vocabulary: Mapping[str, int], unknown: int) -> list[int]:
    """The word as the longest known pieces from the left; `[unknown]` where that fails."""
    if len(word) > _LONGEST_WORD:
        return [unknown]
    found: list[int] = []
    start = 0
    while start < len(word):
        prefix = "##" if start else ""
        for end in range(len(word), start, -1):
            piece = vocabulary.get(prefix + word[start:end])
            if piece is not None:
                found.append(piece)
                start = end
                break
        else:
            return [unknown]
    return found


def _cleaned(char: str) -> str:
    if char in "\t\n\r":
        return " "
    # Controls go before spaces are looked for: a vertical tab is both.
    if char == "\ufffd" or unicodedata.category(char) in ("Cc", "Cf", "Co"):
        return ""
    if char.isspace():
        return " "
    return f" {char} " if _is_han(ord(char)) else char


def _is_punctuation(char: str) -> bool:
    # ASCII's symbols count as punctuation, whatever Unicode calls them: "$", "+", "|".
    if char < "\x80":
        return "!" <= char <= "~" and not char.isalnum()
    return unicodedata.category(char).startswith("P")


def _is_han(code: int) -> bool:
    return (
        0x4E00 <= code <= 0x9FFF
        or 0x3400 <= code <= 0x4DBF
        or 0x20000 <= code <= 0x2A6DF
        or 0x2A700 <= code <= 0x2B81F
        or 0x2B920 <= code <= 0x2CEAF
        or 0xF900 <= code <= 0xFAFF
        or 0x2F800 <= code <= 0x2FA1F
    )
