"""What a question names: an order's number, a quantity, and goods. Exact parsers, no model."""

import re
from collections.abc import Mapping

from endcap.assistant.question import is_han
from endcap.assistant.small_words import (
    AROUND_GOODS,
    HAN_AROUND_GOODS,
    HAN_NUMBERS,
    NUMBER_WORDS,
)
from endcap.text.phrases import phrases_of

MAX_PHRASES = 4
MAX_QUANTITY = 999
_ORDER_WORD = (
    r"(?:orders?|number|no\.?|bestellung|pedido|commande|ordine|订单号码?|订单编号|订单|单号|编号)"
)
_NAMED_ORDER = re.compile(
    rf"{_ORDER_WORD}\s*(?:id|is|was|是|为|number|no\.?|nr\.?|号)?\s*[:：#]?\s*"
    r"(?P<id>[A-Za-z]{0,4}-?\d[\d-]*)(?![\d.,]*\s*(?:%|days?|天))",
    re.IGNORECASE,
)
_BARE_ORDER = re.compile(
    r"(?<![\w.,-])#?(?P<id>[A-Za-z]{0,3}-?\d{5,}|\d{2,4}-\d{3,}|[A-Z]-\d{3,})(?![\w-])", re.ASCII
)
_ANY_NUMBER = re.compile(r"(?<![\w.,$-])#?(?P<id>\d{3,})(?![\w.,%-])", re.ASCII)
_ISO_DAY = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")
_NUMBERS = NUMBER_WORDS | {"dozen": 12}
_HAN_COUNT = re.compile(
    r"(\d{1,3}|[一二三四五六七八九十两])\s*(?:个|份|瓶|盒|包|袋|斤|公斤|打|件|罐|条|块)"
)
_COUNT = re.compile(
    rf"(?<![\w.,-])(\d{{1,3}}|{'|'.join(_NUMBERS)})(?![\w%-])(?!\s*(?:days?|weeks?|months?|years?)\b)"
)


def find_order(text: str, is_about_one: bool = False) -> str:
    """The number of an order that the text names; empty where it names none.

    `is_about_one`: the question is known to be about an order, so any longer number will do.

    >>> [find_order(t) for t in ("Where is order #123?", "订单40211873355到哪了", "30 days")]
    ['123', '40211873355', '']
    """
    rest = _ISO_DAY.sub(" ", text)
    found = _NAMED_ORDER.search(rest) or _BARE_ORDER.search(rest)
    if found is None and is_about_one:
        found = _ANY_NUMBER.search(rest)
    return found["id"].strip("-").upper() if found else ""


def find_quantity(text: str) -> int:
    """How many of something; 1 where nothing is said.

    >>> find_quantity("how much are 3 cartons of milk"), find_quantity("两盒鸡蛋多少钱")
    (3, 2)
    """
    found = _HAN_COUNT.search(text) if is_han(text) else _COUNT.search(text.lower())
    if found is None:
        return 1
    word = found[1]
    number = int(word) if word.isdigit() else (_NUMBERS | HAN_NUMBERS)[word]
    return min(max(number, 1), MAX_QUANTITY)


def find_goods(text: str, glossary: Mapping[str, str], only_known: bool = False) -> tuple[str, ...]:
    """Phrases that may name goods, in the catalogue's words, at most `MAX_PHRASES`.

    `glossary`: words of another language by the catalogue's. The longest that the text holds are
    taken first; where there is one, nothing else of the text is looked up. `only_known`: of a
    Chinese text nothing else is looked up in any case: its words cannot be told apart.

    >>> find_goods("How much are three cartons of oat milk?", {})
    ('oat milk',)
    >>> find_goods("有没有牛奶和鸡蛋", {"牛奶": "milk", "鸡蛋": "eggs", "蛋": "egg"})
    ('milk', 'eggs')
    """
    lowered = text.lower()
    named: list[tuple[int, str]] = []
    for foreign in sorted(glossary, key=len, reverse=True):
        at = _place(foreign, lowered)
        if at >= 0:
            named.append((at, glossary[foreign]))
            lowered = lowered.replace(foreign, " " * len(foreign))
    if named:
        return tuple(dict.fromkeys(phrase for _, phrase in sorted(named)))[:MAX_PHRASES]
    if is_han(text):
        return () if only_known else _han_goods(text)
    found = [phrase.text for phrase in phrases_of(text, AROUND_GOODS | NUMBER_WORDS.keys())]
    return tuple(dict.fromkeys(found))[:MAX_PHRASES]


def _place(foreign: str, text: str) -> int:
    """Where it stands: Han anywhere, other scripts as whole words."""
    if is_han(foreign):
        return text.find(foreign)
    found = re.search(rf"(?<!\w){re.escape(foreign)}(?!\w)", text)
    return found.start() if found else -1


_HAN_ASKING = re.compile(rf"{HAN_AROUND_GOODS}|[\d\W_]")


def _han_goods(text: str) -> tuple[str, ...]:
    kept = [part for part in _HAN_ASKING.split(text) if len(part) > 1]
    return tuple(dict.fromkeys(kept))[:MAX_PHRASES]
