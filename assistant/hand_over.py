"""What a person of the shop is told who takes over a conversation."""

from collections.abc import Sequence

from endcap.assistant.answer import HandOver
from endcap.assistant.plan import Plan
from endcap.assistant.records import Order

_QUOTED = 200
"""Letters of a question that a summary shows."""


def hand_over(
    plan: Plan, intents: Sequence[str], user_id: str, orders: Sequence[Order] | None, reason: str
) -> HandOver:
    """`intents`: of the earlier questions, in their order. Orders that the conversation names are
    told where they are the shopper's own."""
    questions = (*(turn.question for turn in plan.earlier), plan.question)
    own = [order.order_id for order in orders or ()]
    named = tuple(dict.fromkeys(name for name in own if any(name in q for q in questions)))
    asked = (*intents, plan.intent)
    return HandOver(
        user_id, plan.language, reason, questions, asked, named, _summary(questions, asked, named)
    )


def _summary(questions: Sequence[str], intents: Sequence[str], orders: Sequence[str]) -> str:
    lines = [
        f"{number}. [{intent}] {question[:_QUOTED]}"
        for number, (intent, question) in enumerate(zip(intents, questions, strict=True), start=1)
    ]
    about = f"Orders named: {', '.join(orders)}." if orders else "No order of theirs was named."
    return "\n".join([f"Asked so far: {len(questions)}.", *lines, about])
