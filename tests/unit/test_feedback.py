"""Inverse-propensity estimates against simulations whose truth is known, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from endcap.arrays import IntArray
from endcap.catalogue import CatalogueItem
from endcap.errors import DataError
from endcap.export.data.interactions import DataSet, Interactions
from endcap.export.measures.feedback import (
    Estimates,
    Weights,
    click_rewards,
    estimate,
    power_examination,
    shuffled_examination,
    thumb_rewards,
    weights_by_position,
    weights_by_propensity,
)
from endcap.export.measures.impression_cases import cases_of, slates_of
from endcap.export.measures.impressions import Impressions, read_impressions
from endcap.export.measures.intervals import Interval

N_ITEMS = 8
PLACES = 4
EXAMINATION = power_examination(PLACES)
RELEVANCE = np.array([0.05, 0.1, 0.1, 0.15, 0.3, 0.4, 0.5, 0.6])
"""Of items 1 to 8. The old ranker shows the worst first; the other one the best."""
OLD = np.array([1, 2, 3, 4])
OTHER = np.array([8, 7, 6, 5])
EXPLORED = 0.5

Clicks = npt.NDArray[np.bool_]


def truth(slate: IntArray) -> float:
    return float((EXAMINATION * RELEVANCE[slate - 1]).sum())


def explored_impressions(seed: int, n_lists: int = 4000) -> Impressions:
    """Half of the lists are the old ranker's; the others are drawn at random: every item has a
    chance at every place, and it is logged."""
    random = np.random.default_rng(seed)
    drawn = np.argsort(random.random((n_lists, N_ITEMS)), axis=1)[:, :PLACES] + 1
    shown = np.where(random.random((n_lists, 1)) < EXPLORED, drawn, OLD)
    chance = EXPLORED / N_ITEMS + (1 - EXPLORED) * (shown == OLD)
    return impressions_of(shown, chance, random)


def shuffled_impressions(seed: int, shown: IntArray, n_lists: int = 4000) -> Impressions:
    """Lists of the items `shown`, each in a random order; no propensity is logged."""
    random = np.random.default_rng(seed)
    order = np.argsort(random.random((n_lists, shown.size)), axis=1)
    return impressions_of(shown[order], np.full(order.shape, np.nan), random)


def impressions_of(
    shown: npt.NDArray[np.integer], chance: npt.NDArray[np.float64], random: np.random.Generator
) -> Impressions:
    n_lists, places = shown.shape
    clicked = random.random(shown.shape) < EXAMINATION[:places] * RELEVANCE[shown - 1]
    return Impressions(
        lists=np.repeat(np.arange(n_lists), places),
        users=np.arange(n_lists) // 3,
        items=(shown.ravel() - 1).astype(np.int32),
        positions=np.tile(np.arange(1, places + 1, dtype=np.int32), n_lists),
        clicked=clicked.ravel(),
        propensities=chance.ravel(),
        thumbs=np.where(clicked, 1, 0).astype(np.int8).ravel(),
        item_ids=tuple(f"item {i}" for i in range(1, N_ITEMS + 1)),
        user_ids=tuple(f"shopper {i // 3}" for i in range(n_lists)),
        shown_ms=np.arange(n_lists),
    )


def of_other(impressions: Impressions, slate: IntArray = OTHER) -> Estimates:
    slates = np.tile(slate, (impressions.n_lists, 1)).astype(np.int32)
    weights = weights_by_propensity(impressions, slates)
    return estimate(impressions, weights, click_rewards(impressions))


def covers(interval: Interval, value: float) -> bool:
    return interval.low <= value <= interval.high


def test_the_intervals_cover_the_truth_and_the_naive_one_does_not() -> None:
    found = of_other(explored_impressions(1))
    assert covers(found.ips, truth(OTHER))
    assert found.snips is not None
    assert covers(found.snips, truth(OTHER))
    assert not covers(found.naive, truth(OTHER))
    assert found.naive.high < truth(OTHER)


def test_about_95_of_100_intervals_cover_the_truth() -> None:
    n_ips = n_snips = 0
    for seed in range(100):
        found = of_other(explored_impressions(seed, n_lists=600))
        assert found.snips is not None
        n_ips += covers(found.ips, truth(OTHER))
        n_snips += covers(found.snips, truth(OTHER))
    assert n_ips >= 89  # 95 expected; fewer than 89 has a chance of 0.4 %
    assert n_snips >= 89


def test_the_old_ranker_estimated_from_its_own_lists_gets_what_it_got() -> None:
    random = np.random.default_rng(5)
    shown = np.tile(OLD, (500, 1))
    impressions = impressions_of(shown, np.ones(shown.shape), random)
    found = of_other(impressions, OLD)
    got = impressions.clicked.sum() / impressions.n_lists
    assert found.ips.value == pytest.approx(got)
    assert found.snips is not None
    assert found.snips.value == pytest.approx(got)
    assert found.effective == pytest.approx(impressions.items.size)
    assert found.support == 1


def test_clipping_narrows_the_interval_and_lowers_the_estimate() -> None:
    impressions = explored_impressions(2, n_lists=60)  # weights of 16 are cut at 7.7
    found = of_other(impressions)
    assert found.clipped.value < found.ips.value
    assert found.clipped.high - found.clipped.low < found.ips.high - found.ips.low
    assert found.effective < impressions.items.size / 4


def test_snips_is_the_weighted_rate_times_the_places_of_the_slate() -> None:
    impressions = Impressions(
        lists=np.array([0, 0, 1, 1]),
        users=np.array([0, 1]),
        items=np.array([0, 1, 1, 0], dtype=np.int32),
        positions=np.array([1, 2, 1, 2], dtype=np.int32),
        clicked=np.array([True, False, True, True]),
        propensities=np.array([0.5, 0.25, 0.5, 0.75]),
        thumbs=np.zeros(4, dtype=np.int8),
        item_ids=("a", "b"),
        user_ids=("x", "y"),
        shown_ms=np.array([1, 1]),
    )
    slates = np.array([[1, 2], [1, 2]], dtype=np.int32)
    weights = weights_by_propensity(impressions, slates)
    assert weights.values.tolist() == [2.0, 4.0, 0.0, 0.0]
    found = estimate(impressions, weights, click_rewards(impressions))
    assert found.ips.value == pytest.approx((2 * 1 + 4 * 0) / 2)
    assert found.snips is not None
    assert found.snips.value == pytest.approx(2 * (2 / 6))
    assert found.effective == pytest.approx(36 / 20)


def test_places_alone_are_enough_for_another_order_of_the_same_items() -> None:
    shown = np.array([5, 6, 7, 8])
    impressions = shuffled_impressions(3, shown)
    slates = np.tile(OTHER, (impressions.n_lists, 1)).astype(np.int32)
    weights = weights_by_position(impressions, slates, EXAMINATION)
    found = estimate(impressions, weights, click_rewards(impressions))
    assert weights.support == pytest.approx(1)
    assert found.snips is None
    assert covers(found.ips, truth(OTHER))
    assert not covers(found.naive, truth(OTHER))


def test_examination_is_learned_from_lists_in_random_order() -> None:
    learned = shuffled_examination(shuffled_impressions(4, OTHER, n_lists=20_000))
    assert learned == pytest.approx(EXAMINATION, abs=0.03)


def test_what_was_never_shown_lowers_the_support() -> None:
    impressions = shuffled_impressions(3, np.array([5, 6]))
    slates = np.tile(np.array([5, 8]), (impressions.n_lists, 1)).astype(np.int32)
    weights = weights_by_position(impressions, slates, EXAMINATION[:2])
    assert weights.support == pytest.approx(1 / 1.5)


def test_thumbs_are_rewards_too() -> None:
    impressions = explored_impressions(6, n_lists=50)
    assert (thumb_rewards(impressions) == click_rewards(impressions)).all()
    with pytest.raises(DataError, match="no impression has a thumb"):
        thumb_rewards(impressions._replace(thumbs=np.zeros_like(impressions.thumbs)))


@pytest.mark.parametrize("chance", [0.0, float("nan"), -0.1, 1.5])
def test_a_propensity_that_is_missing_or_0_is_refused(chance: float) -> None:
    impressions = explored_impressions(7, n_lists=10)
    impressions.propensities[5] = chance
    with pytest.raises(DataError, match="1 of 40 impressions have no propensity"):
        of_other(impressions)


def test_a_place_that_nobody_looks_at_is_refused() -> None:
    impressions = shuffled_impressions(8, OTHER, n_lists=10)
    slates = np.tile(OTHER, (10, 1)).astype(np.int32)
    for examination in (np.array([1.0, 0.5]), np.array([1.0, 0.5, 0.0, 0.1])):
        with pytest.raises(DataError, match="missing or 0"):
            weights_by_position(impressions, slates, examination)


def test_impressions_that_say_nothing_are_refused() -> None:
    impressions = explored_impressions(9, n_lists=10)
    nothing = Weights(np.zeros(40), 40.0, np.zeros(40, dtype=np.bool_), 0.0)
    with pytest.raises(DataError, match="say nothing"):
        estimate(impressions, nothing, click_rewards(impressions))
    alone = impressions._replace(users=np.zeros(10, dtype=np.int64))
    with pytest.raises(DataError, match="one shopper alone"):
        estimate(alone, nothing._replace(values=np.ones(40)), click_rewards(alone))


HOUR = 3_600_000
NINE = 1_772_355_600_000  # 2026-03-01 09:00 UTC
ROWS: list[dict[str, object]] = [
    {
        "user_id": user,
        "item_id": item,
        "position": position,
        "shown_at": f"2026-03-01T{hour}:00:00Z",
        "clicked": clicked,
    }
    for user, item, position, hour, clicked in (
        ("b", "soap", 1, "10", True),
        ("a", "milk", 2, "09", False),
        ("a", "soap", 1, "09", False),
        ("a", "soap", 1, "09", True),
        ("a", "milk", 1, "11", False),
    )
]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
        return path
    names = list(rows[0])
    lines = [",".join(str(row.get(name, "")) for name in names) for row in rows]
    path.write_text("\n".join([",".join(names), *lines]))
    return path


@pytest.mark.parametrize("name", ["shown.csv", "shown.jsonl"])
def test_a_file_becomes_lists_and_a_row_that_came_twice_counts_once(
    tmp_path: Path, name: str
) -> None:
    found = read_impressions(write(tmp_path / name, ROWS))
    assert found.user_ids == ("a", "a", "b")
    assert (found.shown_ms - NINE).tolist() == [0, 2 * HOUR, HOUR]
    assert found.users.tolist() == [0, 0, 1]
    assert found.lists.tolist() == [0, 0, 1, 2]
    assert [found.item_ids[i] for i in found.items] == ["soap", "milk", "milk", "soap"]
    assert found.clicked.tolist() == [True, False, False, True]
    assert np.isnan(found.propensities).all()
    assert not found.thumbs.any()


def test_propensities_and_thumbs_are_read_where_they_are(tmp_path: Path) -> None:
    rows = [row | {"propensity": 0.5, "thumb": "up"} for row in ROWS[:1]]
    rows += [row | {"propensity": 0.25, "thumb": ""} for row in ROWS[1:2]]
    found = read_impressions(write(tmp_path / "shown.csv", rows))
    assert found.propensities.tolist() == [0.25, 0.5]
    assert found.thumbs.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"position": 0}, "row 2: position is 0"),
        ({"position": "first"}, "row 2: position is 'first'"),
        ({"clicked": "maybe"}, "row 2: clicked is 'maybe'"),
        ({"thumb": "sideways"}, "row 2: thumb is 'sideways'"),
        ({"propensity": "often"}, "row 2: propensity is 'often'"),
        ({"position": 1}, "two items stood at place 1"),
        ({"shown_at": "yesterday"}, "row 2: shown_at is 'yesterday'"),
    ],
)
def test_a_file_of_a_wrong_form_is_refused_with_the_row(
    tmp_path: Path, change: dict[str, object], why: str
) -> None:
    rows: list[dict[str, object]] = [
        row | {"propensity": 0.5, "thumb": "up"} for row in (ROWS[2], ROWS[1])
    ]
    rows[1] |= change
    with pytest.raises(DataError, match=why):
        read_impressions(write(tmp_path / "shown.csv", rows))


def test_a_missing_column_and_an_unknown_kind_of_file_are_named(tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "clicked"} for row in ROWS]
    with pytest.raises(DataError, match="has no column clicked"):
        read_impressions(write(tmp_path / "shown.csv", rows))
    with pytest.raises(DataError, match=r"not \.xlsx"):
        read_impressions(tmp_path / "shown.xlsx")
    with pytest.raises(DataError, match="cannot be read"):
        read_impressions(tmp_path / "missing.csv")


def test_each_list_becomes_a_question_with_what_came_before_it(tmp_path: Path) -> None:
    shown = read_impressions(write(tmp_path / "shown.csv", ROWS))
    data = DataSet(
        "shop",
        Interactions(
            np.array([0, 3, 4]),
            np.array([2, 1, 2, 1], dtype=np.int32),
            np.ones(4, dtype=np.int8),
            np.array([NINE - HOUR, NINE + HOUR, NINE + 3 * HOUR, NINE + 2 * HOUR]),
            np.arange(4, dtype=np.int32),
        ),
        ("a", "b"),
        (CatalogueItem("milk", "Milk"), CatalogueItem("soap", "Soap"), CatalogueItem("tea", "Tea")),
        {},
    )
    replay = cases_of(shown, data)
    assert replay.n_unknown == 1  # b's first event comes after b's list
    assert replay.impressions.user_ids == ("a", "a")
    assert replay.impressions.lists.tolist() == [0, 0, 1]
    assert replay.cases.sequences.tolist() == [0, 0]
    assert replay.cases.ends.tolist() == [1, 2]
    assert replay.cases.now_ms.tolist() == [NINE, NINE + 2 * HOUR]
    assert replay.cases.target_offsets.tolist() == [0, 1, 2]
    assert replay.cases.targets.tolist() == [2, 0]  # soap was clicked, then nothing was

    told = slates_of(np.array([[2, 3, 0], [1, 2, 3]]), data.items, replay.impressions)
    names = [[([*shown.item_ids, "?", "?", "?"])[n - 1] if n else "" for n in row] for row in told]
    assert names == [["soap", "?", ""], ["milk", "soap", "?"]]
    with pytest.raises(DataError, match="no list of 3 is of a shopper"):
        cases_of(shown, data._replace(sequence_ids=("c", "d")))
