"""The words of reasons: English, or what a file says instead."""

import string
from collections.abc import Mapping

from endcap.yaml_lines import FileMistakesError, Mistake, open_yaml

TEXTS: Mapping[str, str] = {
    "bought_every": "you buy this about every {days} days",
    "bought_daily": "you buy this nearly every day",
    "bought_times": "you bought this {times} times",
    "bought_once": "you bought this before",
    "looked_at": "you looked at this before",
    "together": "often bought with {title}",
    "following": "often comes after {title}",
    "alike": "shoppers like you chose this",
    "similar": "chosen from what you looked at lately",
    "popular_in": "popular in {category}",
    "popular": "popular right now",
    "popular_week": "popular this week",
    "popular_today_in": "popular today in {category}",
    "popular_week_in": "popular this week in {category}",
    "together_often": "often bought together",
    "chosen": "chosen by the shop",
}
"""What is said, by name. The field in braces, at most one, is filled in."""
_FIELDS = {
    name: {f for _, f, _, _ in string.Formatter().parse(t) if f} for name, t in TEXTS.items()
}


def _pieces(text: str) -> list[str]:
    """What stands between its fields: it is filled in some thousand times a second.

    >>> _pieces("you bought this {times} times")
    ['you bought this ', ' times']
    """
    pieces = [""]
    for literal, field, _, _ in string.Formatter().parse(text):
        pieces[-1] += literal
        if field is not None:
            pieces.append("")
    return pieces


class Messages:
    """Texts by name; those that a file leaves out are English."""

    def __init__(self, texts: Mapping[str, str] = TEXTS) -> None:
        self.pieces = {name: _pieces(text) for name, text in {**TEXTS, **texts}.items()}
        """By name what stands before and behind a text's field; one piece where it has none."""

    def say(self, name: str, value: object = "") -> str:
        """The text with its field filled in.

        >>> Messages().say("together", "Brie")
        'often bought with Brie'
        """
        return str(value).join(self.pieces[name])


ENGLISH = Messages()


def parse_messages(text: str, what: str = "The messages") -> Messages:
    """From YAML, `name: text` a line.

    Raises:
        FileMistakesError: with every mistake and its line.
    """
    noted: list[Mistake] = []
    top = open_yaml(text, "the messages file", noted)
    texts: dict[str, str] = {}
    for name, value in (top.fields(tuple(TEXTS)) if top else {}).items():
        texts[name] = value.text()
        if wrong := _wrong_fields(name, texts[name]):
            value.wrong(wrong)
    if noted:
        raise FileMistakesError(f"{what}: these lines cannot be used.", noted)
    return Messages(texts)


def _wrong_fields(name: str, text: str) -> str:
    known = _FIELDS[name]
    may = ", ".join(f"{{{field}}}" for field in sorted(known)) or "no field"
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        return f"{name}: {error}. Braces stand around a field ({may}); a brace itself is doubled."
    for _, field, form, conversion in parts:
        if field is not None and (field not in known or form or conversion):
            return f"{name} has no field {{{field}}}; it may hold {may}."
    return ""
