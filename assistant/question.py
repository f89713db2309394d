"""A question as it came, made safe to work with: one form of each character, no hidden ones."""

import re
import unicodedata
from typing import Literal, NamedTuple

from endcap.errors import EndcapError

MAX_LETTERS = 1_000
MAX_EARLIER = 20
Language = Literal["en", "zh"]
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")


class QuestionError(EndcapError):
    """A question that cannot be taken: empty, or too long."""


class Question(NamedTuple):
    """`text` in Unicode's composed compatibility form; `language`: the one to answer in."""

    text: str
    language: Language


def read_question(raw: str) -> Question:
    """The question without control characters and zero-width ones, its white space single.

    Full-width letters and digits become plain ones: an order number is the same in either.

    >>> read_question("Where is order \\uff11\\uff12\\u200b3?")
    Question(text='Where is order 123?', language='en')

    Raises:
        QuestionError: nothing is asked, or more than `MAX_LETTERS`.
    """
    if len(raw) > MAX_LETTERS:
        raise QuestionError(f"A question has at most {MAX_LETTERS} letters; this has {len(raw)}.")
    plain = unicodedata.normalize("NFKC", raw)
    kept = "".join(" " if c.isspace() else c for c in plain if c.isspace() or _is_shown(c))
    text = " ".join(kept.split())
    if not any(char.isalnum() for char in text):
        raise QuestionError("Nothing is asked. Send a question, such as: Where is my order 123?")
    return Question(text, language_of(text))


def language_of(text: str) -> Language:
    """Chinese where a fifth of the letters are Han, else English.

    >>> language_of("iPhone 有货吗"), language_of("what is 茶")
    ('zh', 'en')
    """
    letters = sum(char.isalpha() for char in text)
    return "zh" if letters and len(_HAN.findall(text)) >= 0.2 * letters else "en"


def is_han(text: str) -> bool:
    """Whether any character is Han."""
    return _HAN.search(text) is not None


def _is_shown(char: str) -> bool:
    return unicodedata.category(char) not in ("Cc", "Cf", "Co", "Cs", "Cn")
