"""Answers about a shopper's own orders."""

from collections import Counter
from collections.abc import Sequence

from endcap.assistant.answer import Kind
from endcap.assistant.bm25 import terms_of
from endcap.assistant.draft import Draft
from endcap.assistant.facts import EVER, Facts, Reference, period_name
from endcap.assistant.plan import Plan
from endcap.assistant.records import Order, OrderLine, Records
from endcap.assistant.retrieval import SectionIndex

MAX_LINES = 12
MAX_USUAL = 8
_HOW_LONG = {"en": "How long does delivery take?", "zh": "多久送到"}


def answer_own(
    draft: Draft, plan: Plan, records: Records, facts: Facts, index: SectionIndex
) -> Kind:
    """What kind of answer it became."""
    if records.orders is None:
        draft.note("orders_away" if records.orders_are_away else "login")
        return "refusal" if records.orders_are_away else "login"
    if not records.orders:
        draft.note("no_orders")
        return "refusal"
    if plan.intent == "purchases" and not plan.order_id:
        return _purchases(draft, plan, facts)
    order = _meant(plan, facts)
    if order is None:
        draft.note("no_such_order" if plan.order_id else "no_orders_then")
        return "refusal"
    _say_order(draft, order)
    if plan.intent == "order_status":
        draft.note("no_tracking")
        for found in index.find(_HOW_LONG[plan.language], plan.language, "order_status")[:1]:
            for sentence in found.sentences:
                draft.claim("quote", Reference("document", found.section.place, sentence))
        return "answer"
    return _contents(draft, plan, order)


def _meant(plan: Plan, facts: Facts) -> Order | None:
    """The order that is named; without a number the newest, of the period where one is named."""
    orders = facts.orders_in(None if plan.order_id else plan.period)
    if not plan.order_id:
        return orders[0] if orders else None
    return next((order for order in orders if order.order_id.upper() == plan.order_id), None)


def _say_order(draft: Draft, order: Order) -> None:
    name = order.order_id
    draft.claim(
        "order",
        Reference("order", name, "number"),
        Reference("order", name, "day"),
        Reference("order", name, "articles"),
    )
    draft.claim("order_total", Reference("order", name, "total"))


def _contents(draft: Draft, plan: Plan, order: Order) -> Kind:
    named = [at for at, line in enumerate(order.lines) if _is_named(line, plan.goods)]
    if plan.goods and not named and plan.order_id:
        draft.note("not_bought")
        return "answer"
    for at in (named or range(len(order.lines)))[:MAX_LINES]:
        title, count, price = (
            Reference("order", order.order_id, f"{what}:{at}")
            for what in ("title", "quantity", "price")
        )
        if not draft.claim("order_line_priced", title, count, price):
            draft.claim("order_line", title, count)
    if not named and len(order.lines) > MAX_LINES:
        draft.note("more")
    return "answer"


def _purchases(draft: Draft, plan: Plan, facts: Facts) -> Kind:
    orders = facts.orders_in(plan.period)
    if not orders:
        draft.note("no_orders_then")
        return "answer"
    if plan.goods:
        return _of_goods(draft, plan, orders)
    if plan.period is None:
        _say_order(draft, orders[0])
        draft.note("usually")
        for item_id, _ in _most_bought(orders)[:MAX_USUAL]:
            draft.claim(
                "bought_most",
                Reference("orders", EVER, f"title:{item_id}"),
                Reference("orders", EVER, f"holding:{item_id}"),
            )
        return "answer"
    name = period_name(plan.period)
    draft.claim(
        "period",
        Reference("period", plan.period.first.isoformat(), "first"),
        Reference("period", plan.period.last.isoformat(), "last"),
        Reference("orders", name, "count"),
    )
    draft.claim("period_total", Reference("orders", name, "total"))
    most = _most_bought(orders)
    for item_id, _ in most[:MAX_LINES]:
        draft.claim(
            "order_line",
            Reference("orders", name, f"title:{item_id}"),
            Reference("orders", name, f"pieces:{item_id}"),
        )
    if len(most) > MAX_LINES:
        draft.note("more")
    return "answer"


def _of_goods(draft: Draft, plan: Plan, orders: Sequence[Order]) -> Kind:
    """When something was bought last, and how often; of each phrase the line that fits best."""
    for phrase in plan.goods:
        for order in orders:
            fitting = [at for at, x in enumerate(order.lines) if _is_named(x, (phrase,))]
            if fitting:
                at = fitting[0]
                draft.claim(
                    "bought_last",
                    Reference("order", order.order_id, f"title:{at}"),
                    Reference("order", order.order_id, "day"),
                    Reference("order", order.order_id, "number"),
                )
                item_id = order.lines[at].item_id
                draft.claim(
                    "bought_times",
                    Reference("orders", period_name(plan.period), f"holding:{item_id}"),
                )
                break
    if not draft.has_claims:
        draft.note("not_bought")
    return "answer"


def _is_named(line: OrderLine, goods: Sequence[str]) -> bool:
    """Whether title and category hold all words of one of the phrases."""
    said = set(terms_of(f"{line.title} {line.category}"))
    return any(words and words <= said for words in (set(terms_of(phrase)) for phrase in goods))


def _most_bought(orders: Sequence[Order]) -> list[tuple[str, int]]:
    """Items by how many of the orders hold them; of equals, what was bought last first."""
    counts = Counter(
        item for order in orders for item in dict.fromkeys(line.item_id for line in order.lines)
    )
    return counts.most_common()
