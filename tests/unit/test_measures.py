"""The measures of an evaluation, by hand-worked numbers and by what must hold for any slates."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.arrays import IntArray
from endcap.catalogue import CatalogueItem
from endcap.errors import DataError
from endcap.export.data.interactions import Cases, Interactions
from endcap.export.data.slates import SLATE
from endcap.export.measures import accuracy_per_case, beyond_accuracy, means, measure_all
from endcap.export.measures.beyond import Shop, gini, popularity_bands, shop_of
from endcap.export.measures.bounds import warnings_of
from endcap.export.measures.groups import Gap, by_history, gap_between, measure_group, pairs_of
from endcap.export.measures.intervals import mean_interval, paired_difference

N_ITEMS = 30


def interactions_of(*sequences: list[int], visit: int = 1000) -> Interactions:
    """A visit ends after `visit` events."""
    lengths = [len(sequence) for sequence in sequences]
    visits = [
        1000 * owner + place // visit for owner, n in enumerate(lengths) for place in range(n)
    ]
    n = sum(lengths)
    return Interactions(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.array([item for sequence in sequences for item in sequence], dtype=np.int32),
        np.ones(n, dtype=np.int8),
        np.arange(n, dtype=np.int64),
        np.array(visits, dtype=np.int32),
    )


def cases_of(
    *targets: list[int], histories: list[list[int]] | None = None, visit: int = 1000
) -> Cases:
    """One case a sequence, asked at its end."""
    past = interactions_of(*(histories or [[1]] * len(targets)), visit=visit)
    counts = [len(wanted) for wanted in targets]
    return Cases(
        past,
        np.arange(len(targets), dtype=np.int32),
        past.offsets[1:].copy(),
        np.zeros(len(targets), dtype=np.int64),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.array([item for wanted in targets for item in wanted], dtype=np.int32),
    )


def slates_of(*rows: list[int]) -> IntArray:
    return np.array([row + [0] * (SLATE - len(row)) for row in rows], dtype=np.int32)


def items_of(n: int = N_ITEMS, categories: int = 0) -> list[CatalogueItem]:
    return [
        CatalogueItem(str(i), f"Item {i}", category=str(i % categories) if categories else "")
        for i in range(1, n + 1)
    ]


def a_shop(categories: int = 0) -> Shop:
    return shop_of(interactions_of([1, 2, 3], [1, 2], [1]), items_of(categories=categories))


def test_one_target_at_rank_3_by_hand() -> None:
    found = means(accuracy_per_case(slates_of([7, 8, 5]), cases_of([5])))
    assert found == pytest.approx(
        {
            "hr_at_10": 1,
            "hr_at_20": 1,
            "ndcg_at_10": 1 / math.log2(4),
            "precision_at_20": 1,
            "mrr_at_20": 1 / 3,
            "precision": 1 / 10,
            "recall": 1,
            "f1": 2 * 0.1 / 1.1,
            "map_at_10": 1 / 3,
        }
    )


def test_three_targets_two_of_them_found_by_hand() -> None:
    found = means(accuracy_per_case(slates_of([5, 9, 6]), cases_of([5, 6, 7])))
    best = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found == pytest.approx(
        {
            "hr_at_10": 1,
            "hr_at_20": 1,
            "ndcg_at_10": (1 + 1 / math.log2(4)) / best,
            "precision_at_20": 1,
            "mrr_at_20": 1,
            "precision": 2 / 10,
            "recall": 2 / 3,
            "f1": 2 * 0.2 * (2 / 3) / (0.2 + 2 / 3),
            "map_at_10": (1 + 2 / 3) / 3,
        }
    )


def test_rank_11_counts_at_20_alone() -> None:
    found = means(accuracy_per_case(slates_of([*range(10, 20), 5]), cases_of([5])))
    assert found["hr_at_10"] == found["ndcg_at_10"] == found["recall"] == found["map_at_10"] == 0
    assert found["hr_at_20"] == found["precision_at_20"] == 1
    assert found["mrr_at_20"] == pytest.approx(1 / 11)


def test_a_target_that_training_never_saw_counts_as_a_miss() -> None:
    found = means(accuracy_per_case(slates_of([5], [5]), cases_of([5, 0, 0], [0])))
    assert found["recall"] == pytest.approx((1 / 3 + 0) / 2)
    assert found["hr_at_20"] == 0.5
    best = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["ndcg_at_10"] == pytest.approx((1 / best) / 2)


def test_a_target_named_twice_counts_once() -> None:
    twice = means(accuracy_per_case(slates_of([5, 6]), cases_of([5, 5, 7])))
    once = means(accuracy_per_case(slates_of([5, 6]), cases_of([5, 7])))
    assert twice == once


def test_slates_that_cannot_be_measured_are_refused() -> None:
    with pytest.raises(DataError, match=r"\[1, 3\] where \[1, 20\] was due"):
        accuracy_per_case(np.ones((1, 3), dtype=np.int32), cases_of([5]))
    with pytest.raises(DataError, match="slate of case 1 holds item 4 twice"):
        accuracy_per_case(slates_of([4], [4, 5, 4]), cases_of([5], [5]))
    with pytest.raises(DataError, match="case 1 has no target"):
        accuracy_per_case(slates_of([4], [4]), cases_of([5], []))


SLATES = st.lists(st.integers(1, N_ITEMS), max_size=SLATE, unique=True)
TARGETS = st.lists(st.integers(0, N_ITEMS), min_size=1, max_size=5)
HISTORY = st.lists(st.integers(1, N_ITEMS), max_size=6)
QUESTIONS = st.lists(st.tuples(SLATES, TARGETS, HISTORY), min_size=1, max_size=12)
Question = tuple[list[int], list[int], list[int]]


def posed(questions: list[Question]) -> tuple[IntArray, Cases]:
    slates = slates_of(*(slate for slate, _, _ in questions))
    cases = cases_of(*(q[1] for q in questions), histories=[q[2] for q in questions])
    return slates, cases


@given(QUESTIONS)
def test_shares_are_shares_and_more_places_never_lower_the_hit_rate(
    questions: list[Question],
) -> None:
    slates, cases = posed(questions)
    found = accuracy_per_case(slates, cases)
    for key, values in found.items():
        assert ((values >= 0) & (values <= 1 + 1e-12)).all(), key
    assert (found["hr_at_20"] >= found["hr_at_10"]).all()
    assert (found["hr_at_10"] >= found["ndcg_at_10"] - 1e-12).all()
    assert (found["hr_at_20"] >= found["mrr_at_20"]).all()
    assert (found["f1"] <= np.maximum(found["precision"], found["recall"]) + 1e-12).all()
    with_unit = {"popularity_shown", "popularity_wanted", "popularity_bias", "novelty", "diversity"}
    for key, value in beyond_accuracy(slates, cases, a_shop(3)).items():
        if key not in with_unit:
            assert 0 <= value <= 1, key


@given(QUESTIONS)
def test_the_order_of_cases_changes_nothing(questions: list[Question]) -> None:
    slates, cases = posed(questions)
    order = np.random.default_rng(len(questions)).permutation(len(questions))
    shop = a_shop(3)
    before = measure_all(slates, cases, shop)
    after = measure_all(slates[order], cases.take(order), shop)
    assert after == pytest.approx(before)


@given(QUESTIONS)
def test_each_measure_is_what_a_plain_loop_says(questions: list[Question]) -> None:
    slates, cases = posed(questions)
    found = accuracy_per_case(slates, cases)
    for row, (slate, wanted, _) in enumerate(questions):
        known = {item for item in wanted if item}
        n_targets = len(known) + wanted.count(0)
        ranks = [rank for rank, item in enumerate(slate, 1) if item in known]
        at_10 = [rank for rank in ranks if rank <= 10]
        best = sum(1 / math.log2(r + 1) for r in range(1, min(10, n_targets) + 1))
        assert found["hr_at_20"][row] == bool(ranks)
        assert found["recall"][row] == pytest.approx(len(at_10) / n_targets)
        assert found["mrr_at_20"][row] == pytest.approx(1 / ranks[0] if ranks else 0)
        assert found["ndcg_at_10"][row] == pytest.approx(
            sum(1 / math.log2(r + 1) for r in at_10) / best
        )
    shown = [item in history for slate, _, history in questions for item in slate]
    wanted_again = [item in history for _, wanted, history in questions for item in wanted]
    beyond = beyond_accuracy(slates, cases, a_shop())
    assert beyond["repeats_shown"] == pytest.approx(float(np.mean(shown)) if shown else 0)
    assert beyond["repeats_wanted"] == pytest.approx(float(np.mean(wanted_again)))


def test_what_is_beyond_accuracy_by_hand() -> None:
    # Of 3 shoppers, item 1 has three, item 2 two, item 3 one; the popular tenth is items 1 to 3.
    slates = slates_of([1, 2], [1, 4], [])
    cases = cases_of([4], [1], [0], histories=[[1, 4], [4, 1], [2]])
    found = beyond_accuracy(slates, cases, a_shop(categories=2))
    assert found["coverage"] == 3 / N_ITEMS
    assert found["popular_shown"] == 3 / 4
    assert found["popular_wanted"] == 1 / 3
    assert found["popularity_shown"] == pytest.approx((2 * math.log(4) + math.log(3)) / 4)
    assert found["popularity_wanted"] == pytest.approx(math.log(4) / 3)
    assert found["novelty"] == pytest.approx((0 - math.log2(3 / 4) + 0 - math.log2(1 / 4)) / 4)
    assert found["repeats_shown"] == 3 / 4
    assert found["repeats_wanted"] == 2 / 3
    assert found["empty_slates"] == 1 / 3
    assert found["filled"] == 4 / 60
    assert found["category_diversity"] == 1  # 1 is odd, 2 and 4 are even


def test_an_item_later_than_the_question_is_no_repeat() -> None:
    cases = cases_of([4], histories=[[4, 5, 6]])
    assert beyond_accuracy(slates_of([6, 4]), cases, a_shop())["repeats_shown"] == 1
    earlier = cases._replace(ends=np.array([2], dtype=np.int64))
    assert beyond_accuracy(slates_of([6, 4]), earlier, a_shop())["repeats_shown"] == 0.5


def test_gini_is_0_for_equal_exposure_and_nears_1_for_one_item() -> None:
    assert gini(np.full(50, 7)) == pytest.approx(0)
    assert gini(np.array([0] * 99 + [5])) == pytest.approx(0.99)
    assert gini(np.zeros(5, dtype=np.int64)) == 0


def test_items_bought_by_the_same_shoppers_are_less_diverse_than_strangers() -> None:
    shop = shop_of(interactions_of(*([[1, 2]] * 40), *([[3, 4]] * 40)), items_of(4))
    alike = beyond_accuracy(slates_of([1, 2]), cases_of([1]), shop)["diversity"]
    strangers = beyond_accuracy(slates_of([1, 3]), cases_of([1]), shop)["diversity"]
    assert alike == pytest.approx(0, abs=1e-6)
    assert strangers > 0.7


def test_bands_hold_equal_shares_of_training_and_tell_a_bias() -> None:
    shop = shop_of(interactions_of(list(range(1, 31)) + [1] * 30), items_of())
    slates, cases = slates_of([1], [1]), cases_of([1], [30])
    bands = popularity_bands(slates, cases, shop)
    assert sum(band.n_items for band in bands) == N_ITEMS
    for share in ("trained", "shown", "wanted"):
        assert sum(getattr(band, share) for band in bands) == pytest.approx(1)
    assert bands[0].shown == 1
    assert bands[0].wanted == bands[-1].wanted == 0.5


def test_an_interval_knows_that_cases_of_one_shopper_resemble_each_other() -> None:
    values = np.repeat([0.0, 1.0] * 50, 10)
    apart = mean_interval(values, np.arange(1000))
    together = mean_interval(values, np.repeat(np.arange(100), 10))
    assert apart.value == together.value == 0.5
    assert apart.high - 0.5 == pytest.approx(1.96 * 0.5 / math.sqrt(1000), rel=0.01)
    assert together.high - 0.5 == pytest.approx(1.96 * 0.5 / math.sqrt(100), rel=0.01)


def test_an_interval_without_a_hit_is_not_without_a_width() -> None:
    assert mean_interval(np.zeros(300), np.arange(300)) == (0, 0, 0.01)
    assert mean_interval(np.zeros(0), np.arange(0)) == (0, 0, 1)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_about_95_of_100_intervals_hold_the_true_share(seed: int) -> None:
    random = np.random.default_rng(seed)
    hits = (random.random((400, 200)) < 0.3).astype(np.float64)
    found = [mean_interval(row, np.arange(200)) for row in hits]
    assert 0.90 < np.mean([low <= 0.3 <= high for _, low, high in found]) < 0.98


def test_a_pair_is_told_apart_where_two_intervals_overlap() -> None:
    random = np.random.default_rng(0)
    hard = random.random(2000)
    theirs = (hard < 0.5).astype(np.float64)
    ours = (hard < 0.52).astype(np.float64)
    clusters = np.arange(2000)
    assert mean_interval(ours, clusters).low < mean_interval(theirs, clusters).high
    gain = paired_difference(ours, theirs, clusters)
    assert gain.is_certain
    assert gain.low > 0
    assert gain.relative == pytest.approx(gain.value / theirs.mean())
    assert (gain.better, gain.worse) == (gain.value, 0)
    assert not paired_difference(ours, ours, clusters).is_certain
    assert paired_difference(ours, np.zeros(2000), clusters).relative is None


def grouped_cases() -> tuple[IntArray, Cases]:
    """40 short and 40 long histories; those with a short one are never served."""
    histories = [[1]] * 40 + [[1, 2, 3, 4, 5, 6]] * 40
    slates = slates_of(*([[9]] * 40 + [[5]] * 40))
    return slates, cases_of(*([[5]] * 80), histories=histories, visit=2)


def test_groups_say_who_they_are_and_who_is_served_worse() -> None:
    slates, cases = grouped_cases()
    per_case = accuracy_per_case(slates, cases)
    first, *others = pairs_of(cases, a_shop())
    new, loyal = (measure_group(rows, cases, per_case) for rows in first)
    assert (new.name, new.means, new.n_cases) == ("new", "events in the history: at most 1", 40)
    assert (loyal.name, loyal.n_shoppers) == ("loyal", 40)
    assert (new.measures["hr_at_20"].value, loyal.measures["hr_at_20"].value) == (0, 1)
    gap = gap_between(first, cases, per_case["ndcg_at_10"])
    assert (gap.worse, gap.better, gap.value) == ("new", "loyal", 1)
    # Light and mainstream shoppers are the new ones here, and all baskets are of one size.
    assert others == []
    [sentence] = warnings_of(HEALTHY, [gap], 0, N_ITEMS)
    assert "“new” are served worse than “loyal”" in sentence


def test_small_and_large_baskets_are_compared_where_there_are_both() -> None:
    cases = cases_of(*([[5]] * 40 + [[5, 6, 7]] * 40))
    names = [(low.name, high.name) for low, high in pairs_of(cases, a_shop())]
    assert names == [("small baskets", "large baskets")]


def test_few_cases_make_no_group() -> None:
    cases = cases_of([5], [6], histories=[[1], [1, 2]])
    assert pairs_of(cases, a_shop()) == ()


def test_bands_of_history_length_hold_each_case_once_and_are_never_small() -> None:
    lengths = [1] * 30 + [2] * 30 + [3] * 15 + [4] * 15 + [300] * 30 + [7] * 29
    cases = cases_of(*([[5]] * 149), histories=[[1] * n for n in lengths])
    bands = by_history(cases)
    assert [band.name for band in bands] == ["1", "2", "3–4", "200+"]
    assert sum(band.chosen for band in bands).tolist() == [1] * 120 + [0] * 29


HEALTHY = {
    "empty_slates": 0.0,
    "coverage": 0.5,
    "gini": 0.6,
    "popular_shown": 0.5,
    "popular_wanted": 0.4,
    "repeats_shown": 0.3,
    "repeats_wanted": 0.2,
    "diversity": 0.8,
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"empty_slates": 0.02}, "2.0 % of the shoppers get nothing"),
        ({"popular_shown": 0.6}, "takes 60 % of the places, and is 40 %"),
        ({"coverage": 0.09}, "Only 9.0 % of the catalogue is ever shown"),
        ({"gini": 0.97}, "Gini coefficient of 0.97"),
        ({"repeats_shown": 0.45}, "45 % of what is shown is in the shopper's history"),
        ({"diversity": 0.2}, "much alike"),
    ],
)
def test_each_bound_has_its_warning(change: dict[str, float], sentence: str) -> None:
    assert warnings_of(HEALTHY, [], 10 * N_ITEMS, N_ITEMS) == ()
    [found] = warnings_of(HEALTHY | change, [], 10 * N_ITEMS, N_ITEMS)
    assert sentence in found


def test_too_few_slates_say_nothing_of_coverage() -> None:
    assert warnings_of(HEALTHY | {"coverage": 0.01, "gini": 0.99}, [], N_ITEMS, N_ITEMS) == ()


def test_a_gap_that_may_be_chance_is_no_warning() -> None:
    gap = Gap("new", "loyal", 0.1, 0.3, -0.01, 0.4)
    assert warnings_of(HEALTHY, [gap], 0, N_ITEMS) == ()
