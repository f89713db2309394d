"""Answers about products: stock, prices, what is reduced, what goes along."""

from collections.abc import Sequence

from endcap.assistant.answer import Kind
from endcap.assistant.draft import Draft
from endcap.assistant.facts import Reference
from endcap.assistant.plan import Plan
from endcap.assistant.records import Records
from endcap.catalogue import CatalogueItem

MAX_PRODUCTS = 3
MAX_ROWS = 6


def answer_products(draft: Draft, plan: Plan, records: Records) -> Kind:
    """What kind of answer it became."""
    if plan.wants_reduced:
        return _reduced(draft, records.reduced)
    if not plan.goods:
        draft.note("which_product")
        return "refusal"
    found = [records.products.get(phrase, ()) for phrase in plan.goods]
    named = [items for items in found if items]
    if not named:
        draft.note("not_sold")
        return "refusal"
    for items in named:
        match plan.intent:
            case "price":
                _price(draft, plan, items)
            case "promotions":
                _promotion(draft, items)
            case _:
                _availability(draft, items)
    return "answer"


def answer_recommend(draft: Draft, plan: Plan, records: Records) -> Kind:
    """The list, with its reasons."""
    rows = records.recommended[:MAX_ROWS]
    if not rows:
        draft.note("nothing_to_recommend")
        return "refusal"
    draft.note("recommend_for" if any(records.products.values()) else "recommend_you")
    for row in rows:
        title = Reference("list", row.item.item_id, "title")
        if not draft.claim("recommended", title, Reference("list", row.item.item_id, "reason")):
            draft.claim("recommended_plain", title)
    return "answer"


def _availability(draft: Draft, items: Sequence[CatalogueItem]) -> None:
    for item in items[:MAX_PRODUCTS]:
        there = Reference("product", item.item_id, "title in stock")
        if not (
            draft.claim_once("in_stock_pieces", there, Reference("product", item.item_id, "stock"))
            or draft.claim_once("in_stock", there)
        ):
            draft.claim_once("sold_out", Reference("product", item.item_id, "title sold out"))


def _price(draft: Draft, plan: Plan, items: Sequence[CatalogueItem]) -> None:
    priced = [item for item in items if item.price is not None]
    if plan.wants_cheapest:
        priced.sort(key=lambda item: item.price or 0.0)
        priced = priced[:1]
    if not priced:
        draft.note("no_price")
    for at, item in enumerate(priced[:MAX_PRODUCTS]):
        title = Reference("product", item.item_id, "title")
        draft.claim_once("costs", title, Reference("product", item.item_id, "price"))
        if at == 0 and plan.quantity > 1:
            count = Reference("product", item.item_id, f"count:{plan.quantity}")
            together = Reference("product", item.item_id, f"price:{plan.quantity}")
            draft.claim_once("costs_together", title, count, together)


def _promotion(draft: Draft, items: Sequence[CatalogueItem]) -> None:
    said = [_say_reduced(draft, item) for item in items[:MAX_PRODUCTS]]
    if not any(said):
        draft.note("not_reduced")
        item = items[0]
        draft.claim_once(
            "costs",
            Reference("product", item.item_id, "title"),
            Reference("product", item.item_id, "price"),
        )


def _reduced(draft: Draft, items: Sequence[CatalogueItem]) -> Kind:
    if not items:
        draft.note("nothing_reduced")
        return "answer"
    draft.note("reduced_now")
    for item in items[:MAX_ROWS]:
        _say_reduced(draft, item)
    return "answer"


def _say_reduced(draft: Draft, item: CatalogueItem) -> bool:
    fields = ("title", "price", "earlier price")
    return draft.claim_once("reduced", *(Reference("product", item.item_id, f) for f in fields))
