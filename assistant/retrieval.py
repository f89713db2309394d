"""Which section of the shop's documents answers a question: words and vectors together."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from endcap.arrays import FloatArray
from endcap.assistant.bm25 import Bm25, terms_of
from endcap.assistant.documents import Documents, Section
from endcap.assistant.question import Language
from endcap.text import TextEncoder

MAX_SENTENCES = 3
_NEAR = 0.06
"""A second section that scores as well but for so much is quoted too."""
_LEXICAL_SHARE = 0.4
_TOPIC = 0.25
"""What it counts that a document is about what the question wants."""
LEAST_WITH_TOPIC = 0.30
LEAST_WITHOUT = 0.62
"""Below, nothing is said: measured on the questions for training (docs/assistant.md)."""
_TOPICS: dict[str, tuple[str, ...]] = {
    "returns": ("return", "refund", "退货", "退款"),
    "delivery": ("deliver", "shipping", "配送", "送货", "运费"),
    "order_change": ("cancel", "取消", "修改订单"),
    "order_status": ("long delivery takes", "多久送到"),
    "payment": ("payment", "ways to pay", "付款", "支付"),
    "opening_hours": ("opening hours", "营业时间"),
    "loyalty": ("loyalty", "points", "会员", "积分"),
    "privacy": ("data", "privacy", "数据", "隐私"),
}
"""Words of each intent that documents answer: they point out its documents, by title or heading."""


class Found(NamedTuple):
    """A section and how well it fits (about 0 to 1); `sentences`: those to be quoted, in order."""

    section: Section
    score: float
    sentences: tuple[str, ...]


class SectionIndex:
    """Finds sections of documents by questions."""

    def __init__(self, documents: Documents, encoder: TextEncoder) -> None:
        self.documents = documents
        self._encoder = encoder
        self._of = {
            language: _Rows(
                [each for each in documents.sections if each.language == language], encoder
            )
            for language in {each.language for each in documents.sections}
        }

    def find(self, question: str, language: Language, intent: str) -> Sequence[Found]:
        """The section that answers best, and a second one that may as well, in the question's
        language where documents are in it, else in English; none where none is near enough."""
        for of in (language, "en"):
            if of in self._of:
                return self._of[of].find(question, intent, self._encoder)
        return ()


class _Rows:
    def __init__(self, sections: Sequence[Section], encoder: TextEncoder) -> None:
        self._sections = sections
        whole = [f"{s.title} {s.heading} {s.heading} {' '.join(s.sentences)}" for s in sections]
        self._lexical = Bm25(whole)
        self._named = [f"{s.title} {s.heading}".lower() for s in sections]
        sentences = [
            (row, text) for row, s in enumerate(sections) for text in (s.heading, *s.sentences)
        ]
        self._row_of = np.array([row for row, _ in sentences], dtype=np.int32)
        self._vectors = encoder.encode([text for _, text in sentences])

    def find(self, question: str, intent: str, encoder: TextEncoder) -> Sequence[Found]:
        if not self._sections:
            return ()
        terms = terms_of(question)
        bm25 = self._lexical.scores(terms)
        coverage = self._lexical.coverage(terms)
        share = bm25 / max(float(bm25.max()), 1e-9)
        lexical = 0.5 * coverage + 0.5 * coverage.max() * share
        dense = self._nearest(encoder.encode([question])[0])
        topic = self._topic(intent)
        scores = _LEXICAL_SHARE * lexical + (1 - _LEXICAL_SHARE) * dense + _TOPIC * topic
        best = float(scores.max())
        return [
            Found(
                self._sections[at], float(scores[at]), self._sections[at].sentences[:MAX_SENTENCES]
            )
            for at in np.argsort(-scores, kind="stable")[:2]
            if scores[at] >= best - _NEAR
            and scores[at] >= (LEAST_WITH_TOPIC if topic[at] else LEAST_WITHOUT)
        ]

    def _nearest(self, vector: FloatArray) -> FloatArray:
        """The cosine of each section's nearest sentence."""
        found = np.zeros(len(self._sections), dtype=np.float32)
        np.maximum.at(found, self._row_of, self._vectors @ vector)
        return found

    def _topic(self, intent: str) -> FloatArray:
        """1 for sections of the topic's documents: whose title or heading has a word of it."""
        words = _TOPICS.get(intent, ())
        held = [any(word in named for word in words) for named in self._named]
        return np.array(held, dtype=np.float32)
