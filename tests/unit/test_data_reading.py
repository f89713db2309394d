"""Events files as people have them become each shopper's events in time."""

import gzip
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shop_files import GOOD, HEADER, PLAIN, ROWS, assert_same, events

from endcap.events import EventType
from endcap.export.data.events_file import EventForm, read_events
from endcap.export.data.interactions import DataSet


def test_an_events_file_becomes_each_shoppers_events_in_time_order(tmp_path: Path) -> None:
    data = events(tmp_path / "shop.csv", GOOD)

    assert data.name == "shop"
    assert data.sequence_ids == ("ann", "bob")
    assert data.interactions.offsets.tolist() == [0, 3, 4]
    assert item_ids(data) == ["tea", "milk", "milk", "milk"]
    assert data.interactions.types.tolist() == [
        kind.code
        for kind in (
            EventType.VIEW_ITEM,
            EventType.ADD_TO_CART,
            EventType.PURCHASE,
            EventType.VIEW_ITEM,
        )
    ]
    assert data.interactions.times_ms[0] == 1_700_000_000_000
    assert data.interactions.sessions.tolist() == [0, 0, 1, 2]


def item_ids(data: DataSet) -> list[str]:
    return [data.items[i - 1].item_id for i in data.interactions.items]


def test_an_items_price_is_the_newest_that_an_event_says(tmp_path: Path) -> None:
    prices = {item.item_id: item.price for item in events(tmp_path / "shop.csv", GOOD).items}

    assert prices == {"milk": 1.5, "tea": 3.0}


def test_a_file_of_items_gives_titles_and_the_items_that_nobody_has_met(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item_id,title,category,price\nmilk,Fresh milk,Dairy,1.2\nsoap,Soap,,\n")
    data = events(tmp_path / "shop.csv", GOOD, EventForm(items=items))

    assert [(item.item_id, item.title, item.category, item.price) for item in data.items] == [
        ("milk", "Fresh milk", "Dairy", 1.2),
        ("soap", "Soap", "", None),
        ("tea", "tea", "", 3.0),
    ]
    assert item_ids(data) == ["tea", "milk", "milk", "milk"]
    assert data.facts["items_without_an_event"] == "1"


def test_a_file_of_items_may_have_names_of_its_own(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("sku,name,cost\nmilk,Fresh milk,1.2\n")
    columns = {"item_id": "sku", "title": "name", "price": "cost", "category": "=Dairy"}
    data = events(tmp_path / "shop.csv", GOOD, EventForm(items=items, item_columns=columns))

    milk = data.items[0]
    assert (milk.item_id, milk.title, milk.category, milk.price) == (
        "milk",
        "Fresh milk",
        "Dairy",
        1.2,
    )


def test_without_session_ids_half_an_hour_of_silence_ends_a_visit(tmp_path: Path) -> None:
    times = [1_700_000_000 + after for after in (0, 1800, 3601)]
    rows = [f"ann,milk,view,{time}" for time in times]
    data = events(tmp_path / "shop.csv", "\n".join([HEADER[:37], *rows]))

    assert data.interactions.sessions.tolist() == [0, 0, 1]


def test_rows_equal_in_all_they_say_count_once(tmp_path: Path) -> None:
    data = events(tmp_path / "shop.csv", "\n".join([HEADER, ROWS[0], *ROWS, ROWS[3]]))

    assert data.interactions.items.size == 4
    assert data.facts["left_out_as_duplicates"] == "2"


def test_a_search_or_a_refund_is_left_out_and_counted(tmp_path: Path) -> None:
    more = ("bob,,search,1700000011,b1,,", "ann,milk,refund,1700000019,a2,,")
    data = events(tmp_path / "shop.csv", "\n".join([HEADER, *ROWS, *more]))

    assert data.interactions.items.size == 4
    assert data.facts["left_out_as_no_act_upon_an_item"] == "2"


@pytest.mark.parametrize(
    "name",
    ["view_item", "pageview", "PV", " click ", "clicks"],
)
def test_the_usual_names_of_a_view_are_understood(tmp_path: Path, name: str) -> None:
    data = events(tmp_path / "shop.csv", f"{HEADER}\nann,tea,{name},1700000000,,,")

    assert data.interactions.types.tolist() == [EventType.VIEW_ITEM.code]


def test_columns_and_types_of_other_names_are_mapped(tmp_path: Path) -> None:
    form = EventForm(
        {"user_id": "who", "item_id": "sku", "event_type": "what", "timestamp": "at"},
        {"Bestellt": "purchase", "gegähnt": "ignore"},
    )
    text = "at,who,what,sku\n2024-05-31,ann,bestellt,tea\n2024-05-31,ann,gegähnt,tea\n"
    data = events(tmp_path / "shop.csv", text, form)

    assert data.interactions.types.tolist() == [EventType.PURCHASE.code]


def test_a_column_may_be_one_value_for_all_rows(tmp_path: Path) -> None:
    form = EventForm({"event_type": "=purchase"})
    data = events(tmp_path / "shop.csv", "user_id,item_id,timestamp\nann,tea,1700000000\n", form)

    assert data.interactions.types.tolist() == [EventType.PURCHASE.code]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("1700000000", "Unix seconds"),
        ("1700000000000", "Unix milliseconds"),
        ("1700000000000000", "Unix microseconds"),
        ("2023-11-14T22:13:20Z", "ISO 8601"),
        ("2023-11-14 22:13:20 UTC", "ISO 8601"),
        ("2023-11-14T23:13:20.000+01:00", "ISO 8601"),
        ("2023-11-14 19:43:20-0230", "ISO 8601"),
        ("1700000000.0", "Unix seconds"),
    ],
)
def test_a_time_is_read_in_its_columns_unit(tmp_path: Path, said: str, kind: str) -> None:
    data = events(tmp_path / "shop.csv", f"{HEADER}\nann,tea,view,{said},,,")

    assert data.interactions.times_ms.tolist() == [1_700_000_000_000]
    assert data.facts["timestamp"].startswith(kind)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)),
    st.sampled_from(["s", "ms", "iso", "datetime"]),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_moment_survives_in_any_form(tmp_path: Path, moment: datetime, form: str) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    seconds = int(moment.timestamp())
    said = {"s": seconds, "ms": seconds * 1000, "iso": moment.isoformat(), "datetime": moment}
    row = {"user_id": "ann", "item_id": "tea", "event_type": "view", "timestamp": said[form]}
    pl.DataFrame([row]).write_parquet(tmp_path / "shop.parquet")
    data = read_events(tmp_path / "shop.parquet", PLAIN, tmp_path)

    assert data.interactions.times_ms.tolist() == [seconds * 1000]


def test_gzip_tabs_parquet_a_folder_and_a_glob_are_read_alike(tmp_path: Path) -> None:
    expected = events(tmp_path / "shop.csv", GOOD)
    rows = pl.read_csv(tmp_path / "shop.csv")
    (tmp_path / "shop.csv.gz").write_bytes(gzip.compress(GOOD.encode()))
    (tmp_path / "shop.tsv").write_text(GOOD.replace(",", "\t"))
    folder = tmp_path / "parts"
    folder.mkdir()
    rows.head(2).write_parquet(folder / "1.parquet")
    rows.tail(2).write_parquet(folder / "2.parquet")

    for path in ("shop.csv.gz", "shop.tsv", "parts", "parts/*.parquet"):
        data = read_events(tmp_path / path, PLAIN, tmp_path)
        assert_same(data, expected)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\n\n") + "\n\n",
        re.sub("^", "7,", GOOD, flags=re.MULTILINE).replace("7,user_id", "row,user_id"),
    ],
    ids=["a byte order mark", "Windows line ends", "empty lines", "a column named row"],
)
def test_what_spreadsheets_add_changes_nothing(tmp_path: Path, text: str) -> None:
    assert_same(events(tmp_path / "one.csv", text), events(tmp_path / "other.csv", GOOD))


def test_days_without_a_time_are_not_taken_for_seconds(tmp_path: Path) -> None:
    data = events(tmp_path / "shop.csv", f"{HEADER}\nann,tea,view,20231114,,,")

    assert data.facts["first_event"] == "2023-11-14T00:00:00+00:00"


def test_ids_are_text_even_where_they_look_like_numbers(tmp_path: Path) -> None:
    data = events(tmp_path / "shop.csv", f"{HEADER}\n007,0012,view,1700000000,,,")
    assert (data.sequence_ids, data.items[0].item_id) == (("007",), "0012")

    row = {"user_id": 17850.0, "item_id": 12, "event_type": "view", "timestamp": 1_700_000_000}
    pl.DataFrame([row, row | {"user_id": 17851.0}]).write_parquet(tmp_path / "shop.parquet")
    data = read_events(tmp_path / "shop.parquet", PLAIN, tmp_path)
    assert (data.sequence_ids, data.items[0].item_id) == (("17850", "17851"), "12")


def test_a_shop_larger_than_memory_is_the_same_shop(tmp_path: Path) -> None:
    draw = np.random.default_rng(7)
    rows = pl.DataFrame(
        {
            "user_id": draw.integers(0, 40, 3000),
            "item_id": draw.integers(0, 30, 3000),
            "event_type": draw.choice(["view", "cart", "purchase"], 3000),
            "timestamp": draw.integers(1_700_000_000, 1_700_009_000, 3000),
            "session_id": draw.choice(["a", "b", ""], 3000),
            "price": draw.integers(1, 3, 3000),
        }
    )
    pl.concat([rows, rows.head(500)]).write_csv(tmp_path / "shop.csv")
    in_memory = read_events(tmp_path / "shop.csv", PLAIN, tmp_path)

    for memory_bytes in (5_000, 40_000):  # 50 rows in a bucket, 400 rows
        on_disk = read_events(tmp_path / "shop.csv", PLAIN, tmp_path / "work", memory_bytes)
        assert isinstance(on_disk.interactions.items, np.memmap)
        assert_same(on_disk, in_memory)
        assert on_disk.facts == in_memory.facts
