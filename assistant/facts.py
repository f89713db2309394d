"""The one place where a fact is read from the records, by its source, its id and its field.

Answers are drafted from what it reads, and checked by reading it again.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from endcap.assistant.answer import Citation, Source
from endcap.assistant.documents import Documents
from endcap.assistant.orders_to_programs import orders_a_program
from endcap.assistant.periods import Period, day_of
from endcap.assistant.question import Language
from endcap.assistant.records import Order, OrderLine, Recommended, Records
from endcap.assistant.shown import a_day, money
from endcap.catalogue import CatalogueItem, has_title

EVER = "ever"


class Reference(NamedTuple):
    """Where a fact stands; see `Citation`."""

    source: Source
    id: str
    field: str


class Facts:
    """Records and documents, asked for one fact at a time."""

    def __init__(self, records: Records, documents: Documents, language: Language) -> None:
        self._records = records
        self._documents = documents
        self._language = language
        self._orders = {order.order_id: order for order in records.orders or ()}
        self._products: Mapping[str, CatalogueItem] = {
            item.item_id: item
            for item in (
                *records.reduced,
                *(item for found in records.products.values() for item in found),
                *(row.item for row in records.recommended),
            )
        }
        self._listed = {row.item.item_id: row for row in records.recommended}

    def cite(self, reference: Reference) -> Citation | None:
        """The fact as a citation; None where the records do not have it."""
        value = self.value(reference)
        return None if value is None else Citation(*reference, value=value)

    def value(self, reference: Reference) -> str | None:
        """The fact as it is shown; None where the records do not have it."""
        source, name, field = reference
        match source:
            case "document":
                section = self._documents.at(name)
                held = section is not None and field in section.sentences
                return field if held else None
            case "order":
                order = self._orders.get(name)
                return None if order is None else self._of_order(order, field)
            case "orders":
                return self._of_orders(self.orders_in(_period(name)), field)
            case "product":
                item = self._products.get(name)
                return None if item is None else self._of_product(item, field)
            case "list":
                row = self._listed.get(name)
                return None if row is None else _of_list(row, field)
            case "period":
                return a_day(date.fromisoformat(name), self._language)

    def orders_in(self, period: Period | None) -> Sequence[Order]:
        """The shopper's orders of a period, newest first."""
        every = self._records.orders or ()
        return [order for order in every if period is None or period.holds(order.placed_ms)]

    def _of_order(self, order: Order, field: str) -> str | None:
        match field.split(":"):
            case ["number"]:
                return order.order_id
            case ["day"]:
                return a_day(day_of(order.placed_ms), self._language)
            case ["articles"]:
                return str(order.pieces)
            case ["total"]:
                return None if order.total is None else self._money(order.total)
            case [what, place]:
                at = int(place)
                return self._of_line(order.lines[at], what) if at < len(order.lines) else None
        return None

    def _of_line(self, line: OrderLine, what: str) -> str | None:
        match what:
            case "title":
                return line.title if not orders_a_program(line.title) else line.item_id
            case "quantity":
                return str(line.quantity)
            case "price":
                return None if line.price is None else self._money(line.price)
        return None

    def _of_orders(self, orders: Sequence[Order], field: str) -> str | None:
        what, _, item_id = field.partition(":")
        of_item = [line for order in orders for line in order.lines if line.item_id == item_id]
        match what:
            case "count":
                return str(len(orders))
            case "total":
                totals = [order.total for order in orders]
                known = [total for total in totals if total is not None]
                return self._money(sum(known)) if len(known) == len(totals) else None
            case "title":
                return self._of_line(of_item[0], "title") if of_item else None
            case "pieces":
                return str(sum(line.quantity for line in of_item))
            case "holding":
                return str(sum(any(x.item_id == item_id for x in o.lines) for o in orders))
        return None

    def _of_product(self, item: CatalogueItem, field: str) -> str | None:
        what, _, count = field.partition(":")
        title = shown_title(item)
        match what:
            case "title":
                return title
            case "title in stock":
                return None if item.is_sold_out else title
            case "title sold out":
                return title if item.is_sold_out else None
            case "stock":
                return None if item.stock is None else str(item.stock)
            case "price":
                return None if item.price is None else self._money(item.price * int(count or 1))
            case "count":
                return count
            case "earlier price":
                was = item.previous_price
                is_less = was is not None and item.price is not None and item.price < was
                return self._money(was or 0.0) if is_less else None
        return None

    def _money(self, amount: float) -> str:
        return money(amount, self._records.currency)


def shown_title(item: CatalogueItem) -> str:
    """The title; the id where there is none, or one that reads like an order to a program."""
    is_fit = has_title(item) and not orders_a_program(item.title)
    return item.title if is_fit else item.item_id


def period_name(period: Period | None) -> str:
    """How citations name a period."""
    return EVER if period is None else f"{period.first.isoformat()}/{period.last.isoformat()}"


def _period(name: str) -> Period | None:
    if name == EVER:
        return None
    first, last = name.split("/")
    return Period(date.fromisoformat(first), date.fromisoformat(last))


def _of_list(row: Recommended, field: str) -> str | None:
    if field == "reason":
        return row.reason or None
    return shown_title(row.item) if field == "title" else None
