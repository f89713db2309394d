"""What a question wants, before anything is looked up."""

from typing import NamedTuple

from endcap.assistant.periods import Period
from endcap.assistant.question import Language

OWN = frozenset({"order_status", "order_contents", "purchases"})
"""Intents that a shopper's own orders answer."""
OF_PRODUCTS = frozenset({"availability", "price", "promotions"})


class Turn(NamedTuple):
    """A question that was asked before, and the kind of its answer, as the page tells it."""

    question: str
    kind: str = ""


class Plan(NamedTuple):
    """`order_id` "" and `goods` () where none is named. `wants_cheapest`: of several products the
    cheapest is asked for. `earlier`: the conversation so far, oldest first."""

    question: str
    language: Language
    intent: str
    confidence: float
    order_id: str
    period: Period | None
    goods: tuple[str, ...]
    quantity: int
    wants_cheapest: bool
    earlier: tuple[Turn, ...] = ()

    @property
    def wants_orders(self) -> bool:
        """Whether the shopper's orders have to be read."""
        return self.intent in OWN or self.intent == "person"

    @property
    def wants_products(self) -> bool:
        """Whether goods of the question are looked up in the catalogue."""
        return bool(self.goods) and self.intent in OF_PRODUCTS | {"recommend"}

    @property
    def wants_reduced(self) -> bool:
        """Whether the catalogue's reduced items are wanted, whichever they are."""
        return self.intent == "promotions" and not self.goods

    @property
    def wants_list(self) -> bool:
        """Whether a list of recommendations is wanted."""
        return self.intent == "recommend"
