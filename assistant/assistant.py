"""A customer's question, answered from records and documents, or handed over.

In two steps, so that whoever has the records may fetch them in between:

1. `plan`: what is wanted, by the intent model and exact parsers.
2. `answer`: from the records that the plan wants. Nothing else is said.
"""

import re
from collections.abc import Mapping, Sequence

from endcap.assistant.answer import Answer, Kind
from endcap.assistant.documents import Documents
from endcap.assistant.draft import Draft
from endcap.assistant.facts import Facts, Reference
from endcap.assistant.hand_over import hand_over
from endcap.assistant.order_replies import answer_own
from endcap.assistant.periods import find_period
from endcap.assistant.plan import OF_PRODUCTS, OWN, Plan, Turn
from endcap.assistant.product_replies import answer_products, answer_recommend
from endcap.assistant.question import MAX_EARLIER, QuestionError, read_question
from endcap.assistant.records import Records
from endcap.assistant.retrieval import SectionIndex
from endcap.assistant.slots import find_goods, find_order, find_quantity
from endcap.text.intent_model import IntentModel

UNSURE = "unsure"
LEAST_PROBABILITY = 0.30
_CHEAPEST = re.compile(
    r"\b(cheapest|lowest|least expensive|best price)\b|最便宜|最低价", re.IGNORECASE
)
_ASKS_OF_CONTENTS = re.compile(
    r"\b(contains?|ingredients?|allerg\w+|calories|nutrition\w*)\b"
    r"|\b(is|are)\b.*\b(vegan|vegetarian|kosher|halal|organic|(gluten|lactose|dairy|nut)[- ]free)\b"
    r"|过敏|配料|成分|麸质|卡路里|热量|清真|素食|纯素|含.{0,4}吗",
    re.IGNORECASE,
)
"""What is in a product the catalogue does not say. That it is in stock is no answer to somebody
with an allergy."""
_NAMES_GOODS = OF_PRODUCTS | {"recommend", "purchases", "order_contents"}


class Assistant:
    """Answers questions about one shop. Thread-safe: nothing in it changes."""

    def __init__(
        self, model: IntentModel, documents: Documents, glossary: Mapping[str, str] | None = None
    ) -> None:
        self.model = model
        self._index = SectionIndex(documents, model.encoder)
        self._glossary = glossary or {}

    @property
    def documents(self) -> Documents:
        """What it quotes from."""
        return self._index.documents

    def plan(self, question: str, now_ms: int, earlier: Sequence[Turn] = ()) -> Plan:
        """What is wanted.

        A question about a product that names none is about the one that was named last.

        Raises:
            QuestionError: nothing is asked, or too much.
        """
        if len(earlier) > MAX_EARLIER:
            raise QuestionError(f"At most {MAX_EARLIER} earlier questions are taken.")
        turns = tuple(Turn(read_question(turn.question).text, turn.kind) for turn in earlier)
        text, language = read_question(question)
        guess = self.model.guess(text)
        intent = guess.intent if guess.probability >= LEAST_PROBABILITY else UNSURE
        if intent in OF_PRODUCTS and _ASKS_OF_CONTENTS.search(text):
            intent = "other"
        goods: tuple[str, ...] = ()
        if intent in _NAMES_GOODS:
            only_known = intent in OWN | {"promotions"}
            goods = find_goods(text, self._glossary, only_known)
            before = reversed(turns)
            while not goods and intent in OF_PRODUCTS and (turn := next(before, None)):
                goods = find_goods(turn.question, self._glossary)
        return Plan(
            text,
            language,
            intent,
            round(guess.probability, 4),
            find_order(text, intent in OWN) if intent in OWN | {"order_change", "person"} else "",
            find_period(text, now_ms) if intent in OWN else None,
            goods,
            find_quantity(text) if intent == "price" else 1,
            _CHEAPEST.search(text) is not None,
            turns,
        )

    def answer(self, plan: Plan, records: Records, user_id: str = "") -> Answer:
        """The answer; `user_id`: who has shown who they are, for a hand-over's sake."""
        facts = Facts(records, self.documents, plan.language)
        draft = Draft(plan, facts)
        kind = self._drafted(draft, plan, records, facts)
        is_lost = kind == "refusal" and plan.earlier and plan.earlier[-1].kind == "refusal"
        if kind != "hand_over" and not is_lost:
            return draft.finish(kind)
        if is_lost:
            draft.note("hand_over")
        reason = "asked for a person" if kind == "hand_over" else "two questions without an answer"
        intents = [self.model.guess(turn.question).intent for turn in plan.earlier]
        told = hand_over(plan, intents, user_id, records.orders, reason)
        return draft.finish("hand_over", told)

    def _drafted(self, draft: Draft, plan: Plan, records: Records, facts: Facts) -> Kind:
        match plan.intent:
            case "person":
                draft.note("hand_over")
                return "hand_over"
            case "greeting":
                draft.note("hello")
                return "greeting"
            case "recommend":
                return answer_recommend(draft, plan, records)
            case intent if intent in OWN:
                return answer_own(draft, plan, records, facts, self._index)
            case intent if intent in OF_PRODUCTS:
                return answer_products(draft, plan, records)
            case _:
                return self._from_documents(draft, plan)

    def _from_documents(self, draft: Draft, plan: Plan) -> Kind:
        for found in self._index.find(plan.question, plan.language, plan.intent):
            for sentence in found.sentences:
                draft.claim("quote", Reference("document", found.section.place, sentence))
        if not draft.has_claims:
            draft.note("unknown")
            return "refusal"
        return "answer"
