"""Purchase events as the orders that the assistant speaks of."""

from collections.abc import Iterable, Mapping

from endcap.assistant.records import Order, OrderLine
from endcap.catalogue import CatalogueItem, has_title
from endcap.events import Event, EventType


def orders_of(events: Iterable[Event], items: Mapping[str, CatalogueItem]) -> list[Order]:
    """Orders, newest first; each transaction once, as its newest event tells it.

    `items`: for titles. An item that is not among them goes by its id.
    """
    newest: dict[str, Event] = {}
    for event in events:
        if event.event_name is EventType.PURCHASE and event.transaction_id:
            known = newest.get(event.transaction_id)
            if known is None or known.timestamp_ms <= event.timestamp_ms:
                newest[event.transaction_id] = event
    orders = [
        Order(
            name,
            event.timestamp_ms,
            tuple(
                _line(item.item_id, item.quantity, item.price, items.get(item.item_id))
                for item in event.items
            ),
        )
        for name, event in newest.items()
    ]
    return sorted(orders, key=lambda order: (order.placed_ms, order.order_id), reverse=True)


def _line(
    item_id: str, quantity: int, price: float | None, item: CatalogueItem | None
) -> OrderLine:
    if item is None:
        return OrderLine(item_id, item_id, quantity, price)
    title = item.title if has_title(item) else item_id
    return OrderLine(item_id, title, quantity, price, item.category)
