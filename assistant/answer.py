"""An answer: claims, each with the facts that it rests on."""

from typing import Literal

import msgspec

Kind = Literal["answer", "refusal", "hand_over", "login", "greeting"]
"""`login`: the shopper has to show who they are first."""
Source = Literal["document", "order", "orders", "product", "list", "period"]


class Citation(msgspec.Struct, frozen=True):
    """A fact and where it stands: `id` names the record (a document's place `en/returns.md#How
    long ...`, an order, an item), `field` what of it, `value` as it is shown."""

    source: Source
    id: str
    field: str
    value: str


class Claim(msgspec.Struct, frozen=True):
    """A sentence: the template `says` filled in with the values of `cites`, indexes of the answer's
    citations, in their order."""

    text: str
    says: str
    cites: tuple[int, ...]


class HandOver(msgspec.Struct, frozen=True):
    """What somebody of the shop needs to go on: `summary` for reading, the rest for programs.

    `user_id` is empty where the shopper has not shown who they are.
    """

    user_id: str
    language: str
    reason: str
    questions: tuple[str, ...]
    intents: tuple[str, ...]
    orders: tuple[str, ...]
    summary: str


class Answer(msgspec.Struct, frozen=True):
    """`text` is what is shown; `plain` the same before a phrasing model (equal without one).
    `confidence`: of the intent, 0 to 1. `notes`: sentences without a fact, by their names."""

    kind: Kind
    intent: str
    confidence: float
    language: str
    text: str
    claims: tuple[Claim, ...] = ()
    citations: tuple[Citation, ...] = ()
    notes: tuple[str, ...] = ()
    hand_over: HandOver | None = None
    phrased: bool = False
