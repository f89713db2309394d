"""Data sets as people have them: read as they are, or refused with the row and the reason."""

import gzip
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_sets import real_set

from endcap.errors import DataError
from endcap.events import EventType
from endcap.export.data.events_file import EventForm, read_events
from endcap.export.data.interactions import Cuts, DataSet
from endcap.export.data.protocols import split
from endcap.export.data.reading import FORMATS, cuts_at, protocol_for, read
from endcap.export.data.s3rec import read_attributes

HEADER = "user_id,item_id,event_type,timestamp,session_id,price,quantity"
ROWS = (
    "bob,milk,view,1700000010,b1,1.5,",
    "ann,tea,view,1700000000,a1,3,",
    "ann,milk,cart,1700000005,a1,1.4,2",
    "ann,milk,purchase,1700000009,a2,,2",
)
PLAIN = EventForm()
GOOD = "\n".join([HEADER, *ROWS])
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


def events(path: Path, text: str, form: EventForm = PLAIN) -> DataSet:
    path.write_text(text)
    return read_events(path, form, path.parent / "work")


def item_ids(data: DataSet) -> list[str]:
    return [data.items[i - 1].item_id for i in data.interactions.items]


def refused(path: Path, text: str | bytes, form: EventForm = PLAIN) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as error:
        read_events(path, form, path.parent / "work")
    return str(error.value)


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


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("item_id,title\nmilk,Milk\n,Tea\n", "row 2: item_id is empty"),
        ("item_id\nmilk\nmilk\n", "row 2: item_id is 'milk', which an earlier row has too"),
        ("item_id,price\nmilk,-1\n", "row 1: price is '-1', which is no number"),
        ("id\nmilk\n", "has no column 'item_id'"),
    ],
)
def test_a_bad_file_of_items_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    items = tmp_path / "items.csv"
    items.write_text(text)

    assert reason in refused(tmp_path / "shop.csv", GOOD, EventForm(items=items))


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


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",tea,view,1700000000,,,", "row 5: user_id is empty"),
        ("ann, ,view,1700000000,,,", "row 5: item_id is empty"),
        ("ann,tea,yawn,1700000000,,,", "row 5: event_type is 'yawn', which is no type"),
        ("ann,tea,,1700000000,,,", "row 5: event_type is empty"),
        ("ann,tea,view,soon,,,", "row 5: timestamp is 'soon', which cannot be read"),
        ("ann,tea,view,,,,", "row 5: timestamp is empty"),
        ("ann,tea,view,1700000000000,,,", "as the column's other values are: Unix seconds"),
        ("ann,tea,view,-5,,,", "row 5: timestamp is '-5'"),
        ("ann,tea,view,1700000000,,-1,", "row 5: price is '-1', which is no number from 0"),
        ("ann,tea,view,1700000000,,cheap,", "row 5: price is 'cheap', which is no number"),
        ("ann,tea,view,1700000000,,nan,", "row 5: price is 'nan', which is no number"),
        ("ann,tea,view,1700000000,,,-2", "row 5: quantity is '-2', which is no number"),
        ("ann,tea,view,1700000000,,,,,", "row 5 has 9 fields, the header 7"),
    ],
)
def test_a_row_that_cannot_be_taken_is_named_with_the_reason(
    tmp_path: Path, row: str, reason: str
) -> None:
    message = refused(tmp_path / "shop.csv", "\n".join([HEADER, *ROWS, row]))

    assert reason in message
    assert str(tmp_path / "shop.csv") in message


def test_rows_of_the_same_fault_are_counted_behind_the_first(tmp_path: Path) -> None:
    bad = ["ann,tea,yawn,1700000000,,,"] * 3

    message = refused(tmp_path / "shop.csv", "\n".join([HEADER, *ROWS, *bad]))

    assert "row 5" in message
    assert "2 more like it" in message
    assert "--event-type NAME=ignore" in message


def test_the_first_bad_row_is_named_whatever_its_fault(tmp_path: Path) -> None:
    bad = ["ann,tea,view,soon,,,", ",tea,view,1700000000,,,"]

    assert "row 5: timestamp" in refused(tmp_path / "shop.csv", "\n".join([HEADER, *ROWS, *bad]))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD.replace("user_id", "visitorid"), "--column user_id=visitorid"),
        (GOOD.replace("timestamp", "colour"), "no column 'timestamp' for timestamp; it has user"),
        (HEADER, "has no row under its header"),
        ("", "it is empty"),
        (f"{HEADER}\nann,,search,1700000000,,,", "No event is left of the 1 rows"),
        (f"{HEADER}\n{ROWS[0]}\n".encode() + b"\xff,tea,view,1,,,", "row 2 is not UTF-8"),
        (GOOD.replace(",", ";"), "separated by semicolons; save them with commas"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused(
    tmp_path: Path, text: str | bytes, reason: str
) -> None:
    assert reason in refused(tmp_path / "shop.csv", text)


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (EventForm({"colour": "red"}), "no column 'colour' to map; those are user_id"),
        (EventForm({"price": "euro"}), "no column 'euro' for price"),
        (EventForm(event_types={"pdp": "look"}), "'look' is no type; known are view_item"),
    ],
)
def test_a_mapping_that_fits_nothing_is_refused(
    tmp_path: Path, form: EventForm, reason: str
) -> None:
    assert reason in refused(tmp_path / "shop.csv", GOOD, form)


def test_a_path_with_nothing_to_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.doc").write_text("?")
    (tmp_path / "broken.parquet").write_text("?")
    for path, reason in (
        (tmp_path / "none.csv", "There is no file"),
        (tmp_path / "*.csv", "No file fits the pattern"),
        (tmp_path / "notes.doc", "should end in .csv"),
        (tmp_path / "broken.parquet", "cannot be read"),
        (tmp_path / "empty", "has no *.parquet in it"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(DataError, match=reason.replace("*", r"\*")):
            read_events(path, PLAIN, tmp_path)


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


def test_of_several_files_the_bad_one_is_named_with_its_own_row(tmp_path: Path) -> None:
    for name, rows in (("1.csv", ROWS), ("2.csv", (ROWS[0], ",tea,view,1700000000,,,"))):
        (tmp_path / name).write_text("\n".join([HEADER, *rows]) + "\n")

    with pytest.raises(DataError, match=r"2\.csv, row 2: user_id is empty"):
        read_events(tmp_path / "*.csv", PLAIN, tmp_path)


def test_a_gzip_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress("\n".join([HEADER, *ROWS * 9999]).encode())

    assert "ended before" in refused(tmp_path / "shop.csv.gz", whole[:-50])


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


def test_an_empty_line_counts_in_the_number_of_a_row(tmp_path: Path) -> None:
    text = "\n".join([HEADER, ROWS[0], "", ",tea,view,1700000000,,,"])

    assert "row 3: user_id is empty" in refused(tmp_path / "shop.csv", text)


def test_days_without_a_time_are_not_taken_for_seconds(tmp_path: Path) -> None:
    data = events(tmp_path / "shop.csv", f"{HEADER}\nann,tea,view,20231114,,,")

    assert data.facts["first_event"] == "2023-11-14T00:00:00+00:00"


def test_a_column_of_lists_is_refused_by_its_type(tmp_path: Path) -> None:
    row = {"user_id": "ann", "item_id": ["tea"], "event_type": "view", "timestamp": 1_700_000_000}
    pl.DataFrame([row]).write_parquet(tmp_path / "shop.parquet")

    with pytest.raises(DataError, match=r"column item_id of .* is of the type List\(String\)"):
        read_events(tmp_path / "shop.parquet", PLAIN, tmp_path)


def test_ids_are_text_even_where_they_look_like_numbers(tmp_path: Path) -> None:
    data = events(tmp_path / "shop.csv", f"{HEADER}\n007,0012,view,1700000000,,,")
    assert (data.sequence_ids, data.items[0].item_id) == (("007",), "0012")

    row = {"user_id": 17850.0, "item_id": 12, "event_type": "view", "timestamp": 1_700_000_000}
    pl.DataFrame([row, row | {"user_id": 17851.0}]).write_parquet(tmp_path / "shop.parquet")
    data = read_events(tmp_path / "shop.parquet", PLAIN, tmp_path)
    assert (data.sequence_ids, data.items[0].item_id) == (("17850", "17851"), "12")


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


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "has neither train_sessions.txt nor train_sessions.txt.gz"),
        ({"train_sessions.txt": "1 2\n"}, "has neither test.tsv nor test.tsv.gz"),
        ({"train_sessions.txt": "", "test.tsv": "1\t2\n"}, "train_sessions.txt has no line"),
        ({"train_sessions.txt": "1 2\n\n3 4", "test.tsv": "1\t2\n"}, "line 2 is empty"),
        (
            {"train_sessions.txt": "1 2\n", "test.tsv": "1\t2\n1 2\n"},
            "test.tsv, line 2: '1 2' is not",
        ),
    ],
)
def test_a_folder_that_is_not_of_the_sr_gnn_form_is_refused(
    tmp_path: Path, files: dict[str, str], reason: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    with pytest.raises(DataError) as error:
        read(tmp_path, "sr-gnn", PLAIN, tmp_path)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 2 3\n2\n", "line 2 has no item"),
        ("1 2 3\n1 4\n", "line 1: user 1 has more than one line"),
        (None, "or a folder with one *.txt or *.txt.gz; found: none"),
    ],
)
def test_a_file_that_is_not_of_the_s3rec_form_is_refused(
    tmp_path: Path, text: str | None, reason: str
) -> None:
    if text is not None:
        (tmp_path / "shop.txt").write_text(text)

    with pytest.raises(DataError) as error:
        read(tmp_path, "s3rec", PLAIN, tmp_path)
    assert reason in str(error.value)


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


def test_a_format_or_a_mapping_out_of_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no format 'json'; known: events"):
        read(tmp_path, "json", PLAIN, tmp_path)
    with pytest.raises(DataError, match="belong to events files"):
        read(tmp_path, "s3rec", EventForm({"user_id": "u"}), tmp_path)


def assert_same(one: DataSet, other: DataSet) -> None:
    for column, same in zip(one.interactions, other.interactions, strict=True):
        np.testing.assert_array_equal(column, same)
    assert (one.sequence_ids, one.items) == (other.sequence_ids, other.items)
