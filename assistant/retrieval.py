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
_LEXICAL_SHARE = 0.6
_TOPIC = 0.25
"""What it counts that a document is about what the question wants."""
LEAST_WITH_TOPIC = 0.30
LEAST_WITHOUT = 0.62
"""Below, nothing is said: measured on the questions for training (docs/assistant.md)."""
_TOPICS: dict[str, str] = {
    "returns": "return returns refund refunds exchange damaged 退货 退款 换货 损坏",
    "delivery": "delivery deliver shipping pick up 配送 送货 运费 自提",
    "order_change": "change cancel order orders 修改 取消 订单",
    "order_status": "how long delivery takes 多久送到",
    "payment": "payment pay paying card invoice gift card 付款 支付 发票 礼品卡",
    "opening_hours": "opening hours open stores parking phone 营业时间 门店 停车 电话",
    "loyalty": "loyalty card points coupons member 会员卡 积分 优惠券",
    "privacy": "data privacy account 数据 隐私 账户",
}
"""Words of each intent that documents answer: they point out the documents of its topic."""


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

    def find(self, question: str, language: Language, intent: str) -> Found | None:
        """The section that answers best, in the question's language where one is in it, else in
        English; None where none is near enough."""
        for of in dict.fromkeys((language, "en", *self._of)):
            if of in self._of:
                found = self._of[of].find(question, intent, self._encoder)
                if found is not None or of == language:
                    return found
        return None


class _Rows:
    def __init__(self, sections: Sequence[Section], encoder: TextEncoder) -> None:
        self._sections = sections
        whole = [f"{s.title} {s.heading} {s.heading} {' '.join(s.sentences)}" for s in sections]
        self._lexical = Bm25(whole)
        self._topics = Bm25([f"{s.title} {s.heading}" for s in sections])
        sentences = [
            (row, text) for row, s in enumerate(sections) for text in (s.heading, *s.sentences)
        ]
        self._row_of = np.array([row for row, _ in sentences], dtype=np.int32)
        self._vectors = encoder.encode([text for _, text in sentences])

    def find(self, question: str, intent: str, encoder: TextEncoder) -> Found | None:
        terms = terms_of(question)
        bm25 = self._lexical.scores(terms)
        best = float(bm25.max(initial=0.0))
        coverage = self._lexical.coverage(terms)
        lexical = 0.5 * coverage + 0.5 * coverage.max(initial=0.0) * bm25 / max(best, 1e-9)
        dense = self._nearest(encoder.encode([question])[0])
        scores = _LEXICAL_SHARE * lexical + (1 - _LEXICAL_SHARE) * dense
        topic = self._topic(intent)
        scores = scores + _TOPIC * topic
        if not scores.size:
            return None
        at = int(scores.argmax())
        least = LEAST_WITH_TOPIC if topic[at] else LEAST_WITHOUT
        if scores[at] < least:
            return None
        section = self._sections[at]
        return Found(section, float(scores[at]), section.sentences[:MAX_SENTENCES])

    def _nearest(self, vector: FloatArray) -> FloatArray:
        """The cosine of each section's nearest sentence."""
        found = np.zeros(len(self._sections), dtype=np.float32)
        np.maximum.at(found, self._row_of, self._vectors @ vector)
        return found

    def _topic(self, intent: str) -> FloatArray:
        """1 for sections of the topic's documents: whose title or heading has a word of it."""
        words = terms_of(_TOPICS.get(intent, ""))
        return np.asarray(self._topics.scores(words) > 0, dtype=np.float32)
