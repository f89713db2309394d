"""A small shop's events file, and what becomes of it."""

from pathlib import Path

import numpy as np
import pytest

from endcap.errors import DataError
from endcap.export.data.events_file import EventForm, read_events
from endcap.export.data.interactions import DataSet

HEADER = "user_id,item_id,event_type,timestamp,session_id,price,quantity"
ROWS = (
    "bob,milk,view,1700000010,b1,1.5,",
    "ann,tea,view,1700000000,a1,3,",
    "ann,milk,cart,1700000005,a1,1.4,2",
    "ann,milk,purchase,1700000009,a2,,2",
)
PLAIN = EventForm()
GOOD = "\n".join([HEADER, *ROWS])


def events(path: Path, text: str, form: EventForm = PLAIN) -> DataSet:
    path.write_text(text)
    return read_events(path, form, path.parent / "work")


def refused(path: Path, text: str | bytes, form: EventForm = PLAIN) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as error:
        read_events(path, form, path.parent / "work")
    return str(error.value)


def assert_same(one: DataSet, other: DataSet) -> None:
    for column, same in zip(one.interactions, other.interactions, strict=True):
        np.testing.assert_array_equal(column, same)
    assert (one.sequence_ids, one.items) == (other.sequence_ids, other.items)
