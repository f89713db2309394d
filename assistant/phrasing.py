"""Whether what a phrasing model wrote says nothing that its facts do not.

A rule of thumb that errs on refusing: each number, each name, each address of the phrased text has
to occur in the facts, most of its words have to, and it may not turn a yes into a no. It knows
names by their capitals, so it judges English alone; text in other scripts is refused.
"""

import re

from endcap.assistant.answer import Answer
from endcap.assistant.bm25 import terms_of
from endcap.assistant.question import is_han
from endcap.assistant.small_words import word_set

MAX_LETTERS = 800
_OWN_WORDS = 0.6
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_SENTENCE_START = re.compile(r"(?:^|[.!?:•\n]\s*)(\W*)([A-Z][\w'’]*)")
_ADDRESS = re.compile(r"https?:|www\.|@|<[^>]*>|\{|\}|`")
_NUMBER_WORDS = word_set(
    """
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred
    thousand million dozen half double twice triple quarter zero
    """
)
_NEGATIVE = word_set(
    """
    no not never none cannot can't don't doesn't won't isn't aren't neither nor without nothing
    """
)
_OPENING = word_set(
    """
    a all also an and any are as at before both but by can each for from good great here how however
    i if in is it its just let may most no not of on once one or our otherwise please simply so sure
    thank thanks that the their then there these they this those to unless until we what when
    whenever where which while with yes yesterday you your yours hello hi unopened return delivery
    orders order prices price
    """
)
"""Words that open a sentence with a capital and name nobody."""


def is_supported(text: str, answer: Answer) -> bool:
    """Whether the text may be shown in place of the answer's own."""
    facts = answer.text + " " + " ".join(each.value for each in answer.citations)
    if not text.strip() or len(text) > MAX_LETTERS or is_han(text) or not text.isprintable():
        return False
    if any(match not in facts for match in _ADDRESS.findall(text)):
        return False
    return (
        set(_NUMBER.findall(text)) <= set(_NUMBER.findall(facts))
        and _number_words(text) <= _number_words(facts)
        and _names(text) <= {word.lower() for word in _WORD.findall(facts)}
        and _is_negative(text) == _is_negative(facts)
        and _is_about(text, facts)
    )


def _number_words(text: str) -> set[str]:
    words = {word.lower() for word in _WORD.findall(text)}
    parts = {part for word in words for part in word.split("-")}
    # "one" is a pronoun as often as a number.
    return (parts & _NUMBER_WORDS) - {"one"}


def _names(text: str) -> set[str]:
    """Words with a capital, but for those that only open a sentence."""
    opening = {match.start(2) for match in _SENTENCE_START.finditer(text)}
    return {
        match[0].lower()
        for match in _WORD.finditer(text)
        if match[0] != "I"
        and any(char.isupper() for char in match[0])
        and not (match.start() in opening and match[0].lower() in _OPENING)
    }


def _is_about(text: str, facts: str) -> bool:
    """Whether most of its words are the facts' own: what is new would hide among them."""
    terms, known = terms_of(text), set(terms_of(facts))
    return sum(term in known for term in terms) >= _OWN_WORDS * len(terms)


def _is_negative(text: str) -> bool:
    return any(word.lower().replace("’", "'") in _NEGATIVE for word in _WORD.findall(text))
