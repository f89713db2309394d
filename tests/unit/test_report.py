"""What a report holds, and that published figures are only shown."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from compared_rankers import facts, found_in_small_shop, small_shop

from endcap.arrays import IntArray
from endcap.catalogue import CatalogueItem
from endcap.errors import DataError
from endcap.export.data.interactions import Cases, DataSet, Interactions
from endcap.export.data.slates import SLATE
from endcap.export.measures import MEASURES
from endcap.export.report import (
    About,
    Found,
    Published,
    compare,
    feedback_from,
    published_of,
    write_report,
)
from endcap.export.report.charts import Bar, Dot, bars, dots
from endcap.export.report.published import PUBLISHED
from endcap.export.report.verdict import table, tiles
from endcap.svg import ticks

PROMISED = ("hr_at_10", "hr_at_20", "ndcg_at_10", "precision_at_20", "mrr_at_20")


@pytest.fixture(scope="module")
def found() -> Found:
    return found_in_small_shop()


def test_the_json_has_the_promised_keys_and_reads_back(found: Found, tmp_path: Path) -> None:
    page = write_report(tmp_path / "out", found)
    raw = (page.parent / "report.json").read_bytes()
    keys = msgspec.json.decode(raw)
    assert {"protocol", "metrics", "opponents", "seconds_to_train", "users_per_s"} <= keys.keys()
    for measures in (keys["metrics"], *keys["opponents"].values()):
        assert measures.keys() >= {*PROMISED, "precision", "recall", "f1", "coverage"}
    assert list(keys["opponents"]) == ["Later", "Popular"]
    assert msgspec.json.decode(raw, type=Found) == found


def test_each_ranker_has_intervals_around_its_means_and_each_opponent_a_gain(found: Found) -> None:
    for name, values in found.rankers().items():
        for measure in MEASURES:
            low, high = found.intervals[name][measure]
            assert low <= values[measure] <= high
    gains = {(gain.over, gain.measure): gain for gain in found.gains}
    assert len(gains) == 2 * len(MEASURES)
    gain = gains["Popular", "hr_at_10"]
    expected = found.metrics["hr_at_10"] - found.opponents["Popular"]["hr_at_10"]
    assert gain.value == pytest.approx(expected)
    assert gain.is_certain


def test_the_table_is_in_order_of_the_deciding_measure_with_published_among_the_others(
    found: Found,
) -> None:
    rows = table(found)
    values = [row.cells[0].value for row in rows if row.cells[0]]
    assert values == sorted(values, reverse=True)
    assert [r.name for r in rows if r.kind == "published"] == ["GCE-GNN", "CORE", "SR-GNN", "NARM"]
    [gce] = [row for row in rows if row.name == "GCE-GNN"]
    assert gce.cells[0] is not None
    assert gce.cells[0].gain == pytest.approx(found.metrics["hr_at_20"] / 0.5422 - 1)
    assert gce.cells[2] is None  # no published HR@10


def test_a_ranker_that_is_behind_is_said_to_be_behind() -> None:
    best = (Published("Oracle", {"hr_at_20": 1.0, "mrr_at_20": 1.0}, "nobody, nowhere"),)
    tile = tiles(found_in_small_shop(published=best))[2]
    assert tile.mood == "bad"
    assert tile.figure.startswith("−")
    assert "Oracle" in tile.words


def test_without_opponents_and_published_figures_the_report_still_stands(
    found: Found, tmp_path: Path
) -> None:
    alone = msgspec.structs.replace(
        found,
        opponents={},
        gains=(),
        published=(),
        training=(),
        importance={},
        feedback=(),
        ideas=(),
    )
    text = write_report(tmp_path, alone).read_text()
    assert "GCE-GNN" not in text
    assert "Popular" not in text.split('id="rankers"')[1].split("</table>")[0]


def test_names_from_the_data_are_words_and_never_markup(tmp_path: Path) -> None:
    name = '<script src="https://example.com/x.js"></script>'
    text = write_report(tmp_path, found_in_small_shop(data=name)).read_text()
    assert "<script" not in text
    assert "&lt;script" in text


def test_published_figures_come_by_the_name_that_a_user_gives() -> None:
    assert [f.ranker for f in published_of("beauty")][-2:] == ["ICLRec", "BSARec"]
    with pytest.raises(DataError, match="There are some for beauty, diginetica"):
        published_of("my-shop")


def test_published_figures_are_shares_with_a_source() -> None:
    for figures in PUBLISHED.values():
        for figure in figures:
            assert figure.source
            assert all(0 < value < 1 for value in figure.metrics.values())


def test_ours_must_be_there_and_the_protocol_known() -> None:
    slates, cases, shop = small_shop()
    about = About(**facts("a small shop"))
    with pytest.raises(DataError, match="no slates are named 'endcap'; there are Later"):
        compare({"Later": slates["Later"]}, cases, shop, about)
    with pytest.raises(DataError, match="protocol 'sideways' is unknown"):
        compare(slates, cases, shop, msgspec.structs.replace(about, protocol="sideways"))


@pytest.mark.parametrize(("low", "high"), [(0, 57), (0, 0.0031), (-0.2, 0.45), (0, 0), (3, 3.1)])
def test_ticks_are_few_and_hold_all_values(low: float, high: float) -> None:
    steps = ticks(low, high)
    assert 2 <= len(steps) <= 7
    assert steps[0] <= low
    assert steps[-1] >= high
    assert np.allclose(np.diff(steps), steps[1] - steps[0])


def test_pictures_say_their_values_in_words_too() -> None:
    picture = bars("Shares", [Bar("us & them", 5.0, 4.5, 5.5, "ours")], "%")
    assert "us &amp; them: 5.00 %, 95 %: 4.50 to 5.50" in picture
    same = [Dot("one", 1.0, 1.0, "ours"), Dot("two", 1.0, 1.0, "other")]
    assert dots("Same place", same, "x", "y").count("<circle") == 2


class ShowsTheSame:
    """Soap, then milk, to everybody."""

    def slates(self, cases: Cases) -> IntArray:
        slate = np.array([2, 1] + [0] * (SLATE - 2), dtype=np.int32)
        return np.tile(slate, (cases.size, 1))


def impressions_file(path: Path, columns: str, values: str) -> Path:
    """Two shoppers saw milk above soap; each clicked on soap."""
    rows = [
        f"{user},{item},{place},2026-03-01T09:00:00Z,{int(item == 'soap')}{values}"
        for user in ("a", "b")
        for place, item in ((1, "milk"), (2, "soap"))
    ]
    path.write_text("\n".join([f"user_id,item_id,position,shown_at,clicked{columns}", *rows]))
    return path


def two_shoppers() -> DataSet:
    events = Interactions(
        np.array([0, 1, 2]),
        np.array([1, 1], dtype=np.int32),
        np.ones(2, dtype=np.int8),
        np.zeros(2, dtype=np.int64),
        np.arange(2, dtype=np.int32),
    )
    items = (CatalogueItem("milk", "Milk"), CatalogueItem("soap", "Soap"))
    return DataSet("shop", events, ("a", "b"), items, {})


def test_clicks_at_a_lower_place_count_more_for_a_ranker_that_puts_the_item_first(
    tmp_path: Path,
) -> None:
    path = impressions_file(tmp_path / "shown.csv", "", "")
    [row] = feedback_from(path, two_shoppers(), "swapped", ShowsTheSame())
    assert (row.ranker, row.reward, row.weighting) == ("swapped", "clicks", "by place, 1/place^1")
    assert row.estimates["ips"] == (2, 2, 2)  # seen twice as often at the first place
    assert row.estimates["naive"] == (1, 1, 1)
    assert "snips" not in row.estimates
    assert row.support == 1


def test_logged_propensities_and_thumbs_are_used_where_the_file_has_them(tmp_path: Path) -> None:
    path = impressions_file(tmp_path / "shown.csv", ",propensity,thumb", ",0.5,up")
    same_order = two_shoppers()._replace(items=two_shoppers().items[::-1])
    clicks, thumbs = feedback_from(path, same_order, "as shown", ShowsTheSame())
    assert (clicks.reward, thumbs.reward) == ("clicks", "thumbs up less down")
    assert clicks.weighting == "by logged propensity"
    assert clicks.estimates["ips"][0] == 2  # one click a list, each with half a chance
    assert clicks.estimates["snips"][0] == 1
    assert thumbs.estimates["ips"][0] == 4
