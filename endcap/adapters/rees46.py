"""The open data set of REES46 (https://rees46.com/en/datasets)."""

from collections.abc import Mapping

from endcap.adapters.fields import epoch_ms, number, row_id, text
from endcap.adapters.translation import Row
from endcap.errors import InvalidEventError
from endcap.events import Event, EventItem, EventType

REES46_COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)
REES46_EVENTS: Mapping[str, EventType] = {
    "view": EventType.VIEW_ITEM,
    "cart": EventType.ADD_TO_CART,
    "remove_from_cart": EventType.REMOVE_FROM_CART,
    "purchase": EventType.PURCHASE,
}


def rees46(row: Row) -> Event:
    """A row of REES46.

    Rows have no id: it is made of the whole row, so that a row sent twice counts once, and so do
    two rows that are equal in every column. A purchase has no order id: it is that of its visit.
    """
    kind = REES46_EVENTS.get(str(row.get("event_type")))
    if kind is None:
        raise InvalidEventError(
            "schema", f"event_type is {row.get('event_type')!r}; known: {', '.join(REES46_EVENTS)}."
        )
    user_id, visit = text(row, "user_id"), str(row.get("user_session") or "")
    return Event(
        event_id=row_id(row),
        user_id=user_id,
        event_name=kind,
        timestamp_ms=epoch_ms(row.get("event_time"), "event_time"),
        items=(EventItem(text(row, "product_id"), number(row.get("price"), "price")),),
        transaction_id=(visit or user_id) if kind is EventType.PURCHASE else None,
    )
