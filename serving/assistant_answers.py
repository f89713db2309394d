"""What goes over the wire of `POST /v1/assistant`."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta


class EarlierTurn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question asked before in the conversation, and the `kind` of the answer to it."""

    question: Annotated[str, Meta(min_length=1, max_length=1000)]
    kind: Annotated[str, Meta(max_length=20)] = ""


class QuestionAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`earlier`: the conversation so far, oldest first. `conversation_id`: the page's own; it keeps
    a conversation's records together."""

    question: Annotated[str, Meta(min_length=1, max_length=1000)]
    earlier: Annotated[tuple[EarlierTurn, ...], Meta(max_length=20)] = ()
    conversation_id: Annotated[str, Meta(max_length=100)] = ""


class CitationShown(msgspec.Struct, frozen=True):
    """A fact of the answer and where it stands."""

    source: str
    id: str
    field: str
    value: str


class ClaimShown(msgspec.Struct, frozen=True):
    """A sentence of the answer; `cites`: indexes of `citations`."""

    text: str
    cites: tuple[int, ...]


class AnswerShown(msgspec.Struct, frozen=True):
    """`kind`: `answer`, `refusal` (nothing grounds an answer), `login` (a shopper token is needed),
    `hand_over` (somebody of the shop goes on) or `greeting`. `phrased`: by a model, from the same
    facts."""

    kind: str
    intent: str
    language: str
    text: str
    claims: Sequence[ClaimShown]
    citations: Sequence[CitationShown]
    phrased: bool = False
