"""Rows that need renaming alone: a mapping of `endcap.toml` as an adapter."""

from collections.abc import Mapping
from typing import Any

import msgspec

from endcap.adapters.fields import at, epoch_ms, number, quantity, row_id, scaled_ms, text
from endcap.adapters.translation import Adapter, Row
from endcap.errors import SettingsError
from endcap.events import Event, EventItem, EventType

_UNITS_PER_MS: Mapping[str, float] = {"s": 0.001, "ms": 1, "us": 1000}


class FieldMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a row holds what an event needs.

    Paths have dots: `customer.id`. `columns` names a CSV line's columns. `types` maps the shop's
    event names to ours; a name that is not in it is ignored. `time_unit`: `s`, `ms`, `us` or `iso`;
    a datetime of Avro needs none. Without `event` the id is made of the whole row.
    """

    user: str
    item: str
    type: str
    time: str
    types: dict[str, EventType]
    time_unit: str = "ms"
    event: str | None = None
    price: str | None = None
    quantity: str | None = None
    transaction: str | None = None
    store: str | None = None
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError for a unit that is not known."""
        if self.time_unit != "iso" and self.time_unit not in _UNITS_PER_MS:
            raise ValueError(
                f"time_unit is {self.time_unit!r}; known: {', '.join(_UNITS_PER_MS)}, iso"
            )


def field_mapping(settings: Mapping[str, Any]) -> FieldMapping:
    """A mapping as it stands in `endcap.toml`.

    Raises:
        SettingsError: a field is missing, unknown or of the wrong form.
    """
    try:
        return msgspec.convert(settings, FieldMapping)
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"The field mapping is not right: {error}. It needs user, item, type, time and types; "
            "see docs/adapters.md."
        ) from error


def mapped(mapping: FieldMapping) -> Adapter:
    """An adapter for rows that need renaming alone."""

    def adapt(row: Row) -> Event | None:
        kind = mapping.types.get(str(at(row, mapping.type)))
        if kind is None:
            return None
        user_id = text(row, mapping.user)
        transaction = at(row, mapping.transaction) if mapping.transaction else None
        if kind is EventType.PURCHASE and not transaction:
            transaction = f"{user_id}/{at(row, mapping.time)}"
        store = at(row, mapping.store) if mapping.store else None
        price = at(row, mapping.price) if mapping.price else None
        count = at(row, mapping.quantity) if mapping.quantity else None
        item = EventItem(
            text(row, mapping.item),
            number(price, mapping.price or "price"),
            quantity(count, mapping.quantity or "quantity") or 1,
        )
        return Event(
            event_id=text(row, mapping.event) if mapping.event else row_id(row),
            user_id=user_id,
            event_name=kind,
            timestamp_ms=_time_ms(at(row, mapping.time), mapping),
            items=(item,),
            transaction_id=str(transaction) if transaction else None,
            store_id=None if store in (None, "") else str(store),
        )

    return adapt


def _time_ms(value: Any, mapping: FieldMapping) -> int:
    if mapping.time_unit == "iso":
        return epoch_ms(value, mapping.time)
    return scaled_ms(value, mapping.time, _UNITS_PER_MS[mapping.time_unit])
