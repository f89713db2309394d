"""The field's own data sets, read as published and asked by their own protocols."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from real_sets import real_set
from shop_files import GOOD, PLAIN, assert_same

from endcap.errors import DataError
from endcap.events import EventType
from endcap.export.data.events_file import EventForm, read_events
from endcap.export.data.interactions import Cuts
from endcap.export.data.protocols import split
from endcap.export.data.reading import FORMATS, cuts_at, protocol_for, read
from endcap.export.data.s3rec import read_attributes

RETAILROCKET = EventForm(
    {"user_id": "user", "item_id": "item", "event_type": "event", "timestamp": "ts"}
)
REES46 = EventForm(
    {
        "item_id": "product_id",
        "timestamp": "event_time",
        "session_id": "user_session",
        "category": "category_code",
    }
)
REES46 = EventForm(
    {
        "item_id": "product_id",
        "timestamp": "event_time",
        "session_id": "user_session",
        "category": "category_code",
    }
)


def test_retailrocket_is_read_whole() -> None:
    data = read_events(
        real_set("retailrocket_multibehavior/events.csv.gz"), RETAILROCKET, Path("unused")
    )

    counts = np.bincount(data.interactions.types)
    assert counts[EventType.VIEW_ITEM.code] == 75_374
    assert counts[EventType.ADD_TO_CART.code] == 12_456
    assert counts[EventType.PURCHASE.code] == 9_551
    assert (data.interactions.n_sequences, len(data.items)) == (2_174, 29_905)
    assert np.unique(data.interactions.sessions).size == 15_877
    assert data.facts["first_event"] == "2015-05-03T03:25:10+00:00"


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("retailrocket_multibehavior/events.csv.gz", RETAILROCKET),
        ("rees46_head/2019-Oct_head.csv.gz", REES46),
    ],
)
def test_what_does_not_fit_into_memory_becomes_the_same_arrays_on_disk(
    tmp_path: Path, name: str, form: EventForm
) -> None:
    in_memory = read_events(real_set(name), form, tmp_path)
    on_disk = read_events(real_set(name), form, tmp_path, memory_bytes=300_000)

    assert isinstance(on_disk.interactions.items, np.memmap)
    assert_same(on_disk, in_memory)
    assert {path.name for path in tmp_path.iterdir()} == {
        "items.npy", "types.npy", "times_ms.npy", "sessions.npy",
    }  # fmt: skip


def test_diginetica_is_read_as_published() -> None:
    data = read(real_set("diginetica_gcegnn"), "sr-gnn", PLAIN, Path("unused"))
    parts = split(data, protocol_for("sr-gnn", None))

    assert parts.protocol == "next-item"
    assert (data.facts["train_sessions"], len(data.items)) == ("186670", 43_097)
    assert (parts.known.items.size, parts.test.size) == (906_140, 60_858)
    first = parts.test.take(np.arange(1))
    asked = first.interactions.items[first.starts()[0] : first.ends[0]]
    assert [data.items[i - 1].item_id for i in asked] == ["21553", "20071", "8762", "21566", "6381"]
    assert data.items[first.targets[0] - 1].item_id == "21566"


def test_beauty_is_read_as_published() -> None:
    path = real_set("amazon_beauty")
    data = read(path, "s3rec", PLAIN, Path("unused"))
    parts = split(data, protocol_for("s3rec", None))

    assert parts.protocol == "leave-one-out"
    assert data.name == "Beauty"
    assert (data.interactions.items.size, len(data.items)) == (198_502, 12_101)
    assert parts.test.size == parts.validation.size == 22_363
    assert parts.train.items.size == 198_502 - 2 * 22_363
    attributes = read_attributes(path, data.items)
    assert attributes.offsets.size == len(data.items) + 1
    assert attributes.values.max() == attributes.n_attributes


def test_complete_journey_is_asked_by_its_own_weeks() -> None:
    data = read(Path("unused"), "completejourney", PLAIN, Path("unused"))
    parts = split(data, protocol_for("completejourney", None))

    assert parts.protocol == "time"
    assert data.cuts is not None
    assert parts.known.times_ms.max() < data.cuts.test_from <= parts.test.now_ms.min()
    assert (parts.known.items > 0).all()
    assert (parts.test.targets == 0).any()
    assert parts.test.targets.size > parts.test.size


def test_a_format_serves_its_own_protocols_alone() -> None:
    assert [protocol_for(name, None) for name in FORMATS] == [
        "time", "time", "next-item", "leave-one-out",
    ]  # fmt: skip
    assert protocol_for("events", "leave-one-out") == "leave-one-out"
    with pytest.raises(DataError, match="cannot be split by time; use --protocol next-item"):
        protocol_for("sr-gnn", "time")


def test_dates_given_without_a_zone_are_utc_and_come_in_pairs() -> None:
    day = datetime(2015, 9, 1)

    assert cuts_at(day, datetime(2015, 9, 2, 2, tzinfo=timezone(timedelta(hours=2)))) == Cuts(
        1_441_065_600_000, 1_441_152_000_000
    )
    assert cuts_at(None, None) is None
    with pytest.raises(DataError, match="both --validation-from and --test-from"):
        cuts_at(day, None)


def test_a_fingerprint_tells_data_sets_apart(tmp_path: Path) -> None:
    prints = []
    for text in (GOOD, GOOD, GOOD.replace("1700000010", "1700000011")):
        (tmp_path / "shop.csv").write_text(text)
        prints.append(read(tmp_path / "shop.csv", "events", PLAIN, tmp_path).facts["sha256"])

    assert prints[0] == prints[1] != prints[2]
