"""The questions that intents are learned from, their slots filled in by chance."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

QUESTIONS = Path(__file__).with_name("questions.yaml")
_SLOTS = ("item", "order", "range", "count")
_FILLED = 4
"""How often a form with a slot is filled in."""


class Question(NamedTuple):
    """`form`: which form it was made of. Forms, not questions, are held out: two fillings of one
    are nearly the same."""

    text: str
    intent: str
    language: str
    form: int


class Questions(NamedTuple):
    """All of them; `fingerprint`: of the file that they come from."""

    rows: Sequence[Question]
    fingerprint: str


def load_questions(seed: int = 7) -> Questions:
    """The questions of the file beside this module."""
    raw = QUESTIONS.read_bytes()
    said: dict[str, Any] = yaml.safe_load(raw)
    slots = said.pop("slots")
    rng = np.random.default_rng(seed)
    rows: list[Question] = []
    form = 0
    for intent, of_language in said.items():
        for language, forms in of_language.items():
            for text in forms:
                for filled in sorted(_filled(text, language, slots, rng)):
                    rows.append(Question(filled, intent, language, form))
                form += 1
    return Questions(rows, hashlib.sha256(raw).hexdigest())


def _filled(text: str, language: str, slots: dict[str, Any], rng: np.random.Generator) -> set[str]:
    if "{" not in text:
        return {text}
    made = set()
    for _ in range(_FILLED):
        now = text
        for slot in _SLOTS:
            choices = slots[slot]
            named = choices if isinstance(choices, list) else choices[language]
            while "{" + slot + "}" in now:
                now = now.replace("{" + slot + "}", str(named[rng.integers(len(named))]), 1)
        made.add(now)
    return made
