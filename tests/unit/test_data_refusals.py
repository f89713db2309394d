"""What cannot be taken is refused with the file, the row and the reason."""

import gzip
from pathlib import Path

import polars as pl
import pytest
from shop_files import GOOD, HEADER, PLAIN, ROWS, refused

from endcap.errors import DataError
from endcap.export.data.events_file import EventForm, read_events
from endcap.export.data.reading import read


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


def test_an_empty_line_counts_in_the_number_of_a_row(tmp_path: Path) -> None:
    text = "\n".join([HEADER, ROWS[0], "", ",tea,view,1700000000,,,"])

    assert "row 3: user_id is empty" in refused(tmp_path / "shop.csv", text)


def test_of_several_files_the_bad_one_is_named_with_its_own_row(tmp_path: Path) -> None:
    for name, rows in (("1.csv", ROWS), ("2.csv", (ROWS[0], ",tea,view,1700000000,,,"))):
        (tmp_path / name).write_text("\n".join([HEADER, *rows]) + "\n")

    with pytest.raises(DataError, match=r"2\.csv, row 2: user_id is empty"):
        read_events(tmp_path / "*.csv", PLAIN, tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD.replace("user_id", "visitorid"), "--column user_id=visitorid"),
        (GOOD.replace("timestamp", "colour"), "no column 'timestamp' for timestamp; it has user"),
        (HEADER, "has no row under its header"),
        ("", "it is empty"),
        (f"{HEADER}\nann,,search,1700000000,,,", "No event is left of the 1 row of"),
        (f"{HEADER}\n{ROWS[0]}\n".encode() + b"\xff,tea,view,1,,,", "row 2 is not UTF-8"),
        (GOOD.replace(",", ";"), "separated by semicolons; save them with commas"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused(
    tmp_path: Path, text: str | bytes, reason: str
) -> None:
    assert reason in refused(tmp_path / "shop.csv", text)


def test_a_gzip_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress("\n".join([HEADER, *ROWS * 9999]).encode())

    assert "ended before" in refused(tmp_path / "shop.csv.gz", whole[:-50])


def test_a_column_of_lists_is_refused_by_its_type(tmp_path: Path) -> None:
    row = {"user_id": "ann", "item_id": ["tea"], "event_type": "view", "timestamp": 1_700_000_000}
    pl.DataFrame([row]).write_parquet(tmp_path / "shop.parquet")

    with pytest.raises(DataError, match=r"column item_id of .* is of the type List\(String\)"):
        read_events(tmp_path / "shop.parquet", PLAIN, tmp_path)


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (EventForm({"colour": "red"}), "no column 'colour' to map. Those are user_id"),
        (EventForm({"price": "euro"}), "no column 'euro' for price"),
        (EventForm({"titel": "name"}), "Did you mean title?"),
        (EventForm({"title": "itemid"}), "say which it is by --column title=ITS_NAME"),
        (EventForm(event_types={"pdp": "view-item"}), "Did you mean view_item?"),
        (EventForm(event_types={"pdp": "look"}), "'look' is no type. Known: view_item"),
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


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({}, "no column 'item_id' for item_id; it has sku, name, cost; say which it is by"),
        ({}, "--items-column item_id=sku"),
        ({"item_id": "sku", "title": "nmae"}, "--items-column title=name"),
        ({"item_id": "sku", "titel": "name"}, "no column 'titel' to map. Did you mean title?"),
    ],
)
def test_other_columns_of_a_file_of_items_are_refused_with_the_option_that_maps_them(
    tmp_path: Path, columns: dict[str, str], reason: str
) -> None:
    items = tmp_path / "items.csv"
    items.write_text("sku,name,cost\nmilk,Milk,1\n")

    message = refused(tmp_path / "shop.csv", GOOD, EventForm(items=items, item_columns=columns))
    assert reason in message
    assert "--column" not in message


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


def test_a_format_or_a_mapping_out_of_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no format 'json'\. Known: events"):
        read(tmp_path, "json", PLAIN, tmp_path)
    with pytest.raises(DataError, match=r"no format 'srgnn'\. Did you mean sr-gnn\?"):
        read(tmp_path, "srgnn", PLAIN, tmp_path)
    with pytest.raises(DataError, match="belong to events files"):
        read(tmp_path, "s3rec", EventForm({"user_id": "u"}), tmp_path)
