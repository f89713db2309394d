"""Who is in which variant, what a list's chance does, what counts, and what the numbers say."""

import json
import math
import random
from itertools import permutations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.experiments import (
    HOLDOUT,
    Counting,
    Experiment,
    Explore,
    Impression,
    ShownAt,
    Variant,
    decode_impression,
    encode_impression,
    encode_report,
    explored,
    place_of,
    report_of,
    spell,
    variant_in,
    variant_of,
)
from endcap.experiments.intervals import Counted, rate_of, uplift_of
from endcap.experiments.sample_ratio import chi_squared_tail, sample_ratio
from endcap.experiments.simulation import Sizes, selftest
from endcap.lists import ListItem, RecommendationList


def an_experiment(name: str = "summer", holdout: float = 0.0, **shares: float) -> Experiment:
    variants = tuple(Variant(key, share) for key, share in shares.items())
    return Experiment(name, "2026-01-01", "2026-01-11", variants, holdout=holdout)


HALVES = an_experiment(control=0.5, treated=0.5)
PLACES = [0.453687048, 0.041120597, 0.476978334]
TABLE = [
    (1, 3.841459, 0.05),
    (1, 10.8276, 0.001),
    (2, 5.991465, 0.05),
    (3, 7.814728, 0.05),
    (4, 18.4668, 0.001),
    (7, 30.0, 9.49597e-05),
]
"""Degrees of freedom, distance, probability above it."""


# Assignment


@given(st.text(), st.text(max_size=40))
def test_a_shopper_stands_at_one_place_of_an_experiment(user: str, name: str) -> None:
    assert place_of(user, name) == place_of(user, name)
    assert 0 <= place_of(user, name) < 1


def test_the_places_are_those_of_every_release() -> None:
    """A new one must not move shoppers in the middle of an experiment."""
    assert [round(place_of(user, "summer"), 9) for user in ("u1", "u2", "é")] == PLACES


def test_shares_are_about_what_they_say_and_the_rest_is_in_none() -> None:
    experiment = an_experiment(control=0.3, treated=0.4, holdout=0.1)
    found = [variant_of(experiment, f"user-{number}") for number in range(20_000)]
    for name, share in (("control", 0.3), ("treated", 0.4), (HOLDOUT, 0.1), (None, 0.2)):
        assert found.count(name) / 20_000 == pytest.approx(share, abs=0.015)


def test_experiments_are_independent() -> None:
    """Of the shoppers in one variant, as many are in each variant of another as of all."""
    other = an_experiment("winter", control=0.5, treated=0.5)
    users = [f"user-{number}" for number in range(20_000)]
    both = sum(variant_of(HALVES, user) == variant_of(other, user) == "treated" for user in users)
    assert both / 20_000 == pytest.approx(0.25, abs=0.01)


@given(st.text(), st.floats(0, 0.2), st.floats(0, 0.2))
def test_a_share_that_grows_at_the_end_moves_nobody_else(user: str, one: float, two: float) -> None:
    less, more = sorted((one, two))
    small = variant_of(an_experiment(control=0.5, treated=less, holdout=less), user)
    large = variant_of(an_experiment(control=0.5, treated=more, holdout=more), user)
    assert small in (large, None)


def test_variants_are_spelled_and_read_back() -> None:
    spelled = spell([("summer", "control"), ("slate", "seven")])
    assert variant_in(spelled, "summer") == "control"
    assert variant_in(spelled, "slate") == "seven"
    assert variant_in(spelled, "late") is None
    assert variant_in(None, "summer") is None
    assert variant_in("rubbish", "rubbish") is None


# Exploration


def a_list(size: int, version: int = 1) -> RecommendationList:
    items = tuple(ListItem(f"i{place}", 1 / (place + 1), "") for place in range(size))
    return RecommendationList(version, "m", 1, items)


def ids(ready: RecommendationList) -> tuple[str, ...]:
    return tuple(item.id for item in ready.items)


@given(
    st.integers(0, 20),
    st.floats(0, 1),
    st.lists(st.integers(1, 20), min_size=1, max_size=5, unique=True),
    st.text(),
)
def test_chance_keeps_the_items_and_what_stands_above_its_places(
    size: int, epsilon: float, places: list[int], user: str
) -> None:
    before = a_list(size)
    after = explored(before, Explore(epsilon, tuple(places)), user)
    assert sorted(ids(after)) == sorted(ids(before))
    last = max((place for place in places if place <= size), default=size + 1)
    for place, (old, new) in enumerate(zip(before.items, after.items, strict=True), 1):
        if place < last and place not in places:
            assert new == old
        assert 0 < new.propensity <= 1
    assert after == explored(before, Explore(epsilon, tuple(places)), user)


def test_propensities_are_how_often_an_item_stands_at_a_place() -> None:
    """All lists that chance can make of seven items, against 40,000 that it made."""
    explore, runs = Explore(0.4, (2, 4)), 40_000
    seen: dict[tuple[int, str], int] = {}
    told: dict[tuple[int, str], float] = {}
    for version in range(runs):
        for place, item in enumerate(explored(a_list(7, version), explore, "u").items):
            seen[place, item.id] = seen.get((place, item.id), 0) + 1
            assert told.setdefault((place, item.id), item.propensity) == item.propensity
    for key, propensity in told.items():
        assert seen[key] / runs == pytest.approx(propensity, abs=0.012), key
    for place in range(7):
        assert sum(p for (at, _), p in told.items() if at == place) == pytest.approx(1, abs=1e-5)


def test_each_draw_of_the_places_is_as_likely_as_the_others() -> None:
    explore, runs = Explore(1.0, (1, 2)), 6_000
    drawn = [ids(explored(a_list(4, version), explore, "u"))[:2] for version in range(runs)]
    expected = set(permutations(["i0", "i1", "i2", "i3"], 2))
    assert set(drawn) == expected
    counts = [drawn.count(pair) for pair in expected]
    assert sample_ratio(counts, [1.0] * len(counts)).is_sound


def test_without_epsilon_nothing_is_explored() -> None:
    assert explored(a_list(20), Explore(0.0, (3,)), "u") == a_list(20)


# Counting

START = HALVES.start_ms


def record(
    user: str,
    showing: str = "1",
    kind: str = "shown",
    variant: str | None = "control",
    at: int = START,
) -> Impression:
    return Impression(
        impression_id=showing,
        user_id=user,
        kind="shown" if kind == "shown" else "clicked",
        placement="home",
        items=(ShownAt("milk", 1),),
        list_version=7,
        model="m",
        timestamp_ms=at,
        variant=None if variant is None else f"summer={variant}",
    )


def sums(counting: Counting) -> dict[str, tuple[int, float, float, float]]:
    """By variant: shoppers, exposures, clicks, buyers."""
    return {
        name: (
            each.number,
            each.shown.chances.sum(),
            each.shown.happened.sum(),
            each.bought.happened.sum(),
        )
        for name, each in counting.found().shoppers.items()
    }


@given(st.randoms(use_true_random=False), st.integers(1, 3))
def test_beacons_repeated_and_in_any_order_count_once(order: random.Random, times: int) -> None:
    records = [
        record("a", "1"),
        record("a", "2"),
        record("a", "1", "clicked", at=START + 5),
        record("b", "1", variant="treated"),
        record("b", "1", "clicked", variant=None, at=START + 5),
    ] * times
    order.shuffle(records)
    counting = Counting(HALVES)
    for each in records:
        counting.impression(each)
    assert sums(counting) == {"control": (1, 2, 1, 0), "treated": (1, 1, 1, 0)}
    repeated = counting.found().left_out.get("repeated_beacons", 0)
    assert repeated == 5 * (times - 1)


def test_a_record_comes_back_as_it_was_and_fields_of_another_writer_are_no_matter() -> None:
    sent = record("a", variant=None)
    raw = encode_impression(sent)
    assert decode_impression(raw) == sent
    assert decode_impression(raw[:-1] + b',"page":"7"}') == sent
    for wrong in (raw.replace(b"milk", b""), raw.replace(b'"items"', b'"item"'), b"[]"):
        with pytest.raises(msgspec.ValidationError):
            decode_impression(wrong)


def test_only_what_is_of_the_experiment_and_of_its_time_counts() -> None:
    counting = Counting(HALVES)
    for each in (
        record("a", variant=None),
        record("b", at=START - 1),
        record("c", at=HALVES.end_ms),
        record("d", variant="unheard-of"),
        record("e", "9", "clicked"),  # of a showing that nobody told
        record("e", "9", "clicked"),
        record("f"),
    ):
        counting.impression(each)
    assert sums(counting) == {"control": (1, 1, 0, 0), "treated": (0, 0, 0, 0)}
    assert counting.found().left_out == {"unknown_variant": 1}


def test_who_saw_two_variants_is_in_neither() -> None:
    counting = Counting(HALVES)
    counting.impression(record("a", "1"))
    counting.impression(record("a", "2", variant="treated"))
    counting.impression(record("b", "1"))
    assert sums(counting) == {"control": (1, 1, 0, 0), "treated": (0, 0, 0, 0)}
    assert counting.found().left_out == {"shoppers_of_two_variants": 1}


def test_a_purchase_counts_after_the_first_exposure_while_the_experiment_runs() -> None:
    counting = Counting(HALVES)
    for user in "abcd":
        counting.impression(record(user, at=START + 100))
    counting.purchase("a", START + 99)
    counting.purchase("b", START + 100)
    counting.purchase("b", START + 200)
    counting.purchase("c", HALVES.end_ms)
    counting.purchase("stranger", START + 200)
    assert sums(counting)["control"] == (4, 4, 0, 1)


# Numbers


def test_the_tail_of_chi_squared_is_that_of_the_tables() -> None:
    for degrees, distance, tail in TABLE:
        assert chi_squared_tail(distance, degrees) == pytest.approx(tail, rel=1e-4)
    assert chi_squared_tail(0.0, 3) == 1.0


def test_the_error_of_a_rate_is_that_of_the_bootstrap_over_shoppers() -> None:
    rng = np.random.default_rng(3)
    chances = 1.0 + rng.poisson(rng.gamma(0.7, 8.0, 1500))
    happened = rng.binomial(chances.astype(int), rng.beta(0.6, 5.4, 1500)).astype(float)
    rate = rate_of(Counted(happened, chances))
    assert rate is not None
    rows = rng.integers(0, 1500, (2000, 1500))
    drawn = happened[rows].sum(axis=1) / chances[rows].sum(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert rate.high - rate.low == pytest.approx(high - low, rel=0.06)
    assert rate.value == pytest.approx(happened.sum() / chances.sum())


def test_an_uplift_is_certain_where_its_bounds_leave_nothing_out() -> None:
    many = Counted(np.repeat([1.0, 0.0], [600, 400]), np.ones(1000))
    few = Counted(np.repeat([1.0, 0.0], [500, 500]), np.ones(1000))
    found = uplift_of(many, few)
    assert found is not None
    assert found.value == pytest.approx(0.2)
    assert found.is_certain
    assert found.p_value < 1e-4
    same = uplift_of(few, few)
    assert same is not None
    assert (same.value, same.p_value, same.is_certain) == (0.0, 1.0, False)


def test_what_cannot_be_known_is_not_said() -> None:
    nothing = Counted(np.zeros(0), np.zeros(0))
    never = Counted(np.zeros(50), np.ones(50))
    alone = Counted(np.ones(1), np.ones(1))
    some = Counted(np.repeat([1.0, 0.0], 25), np.ones(50))
    assert rate_of(nothing) is None
    assert rate_of(alone) == (1.0, 0.0, 1.0)
    assert rate_of(never) == (0.0, 0.0, 3 / 50)
    for other in (nothing, never, alone):
        assert uplift_of(other, some) is None
        assert uplift_of(some, other) is None


# The report


def counted(control: int, treated: int) -> Counting:
    counting = Counting(HALVES)
    for variant, number in (("control", control), ("treated", treated)):
        for place in range(number):
            counting.impression(record(f"{variant}-{place}", variant=variant))
            if place % 4 == 0:
                counting.impression(record(f"{variant}-{place}", kind="clicked"))
    return counting


def test_a_mismatch_of_samples_is_said_loudly_and_first() -> None:
    sound = report_of(HALVES, counted(1000, 1040).found(), HALVES.end_ms)
    lost = report_of(HALVES, counted(1000, 1300).found(), HALVES.end_ms)
    assert sound.sample_ratio.is_sound
    assert not lost.sample_ratio.is_sound
    assert lost.warnings[0].startswith("SAMPLE RATIO MISMATCH")
    assert not any(words.startswith("SAMPLE") for words in sound.warnings)


def test_a_look_before_the_end_is_warned_of() -> None:
    found = counted(400, 400).found()
    assert any("one look" in words for words in report_of(HALVES, found, START).warnings)
    ended = report_of(HALVES, found, HALVES.end_ms)
    assert ended.state == "ended"
    assert not any("one look" in words for words in ended.warnings)


def test_shoppers_that_a_share_of_none_leaves_out_are_not_expected() -> None:
    thin = an_experiment(control=0.1, treated=0.3)
    counting = Counting(thin)
    for place in range(400):
        counting.impression(record(f"u{place}", variant="control" if place % 4 == 0 else "treated"))
    found = report_of(thin, counting.found(), START)
    assert [(one.name, one.users, one.expected_users) for one in found.variants] == [
        ("control", 100, 100.0),
        ("treated", 300, 300.0),
    ]


def test_one_variant_is_compared_with_the_holdout() -> None:
    held = an_experiment(treated=0.9, holdout=0.1)
    found = report_of(held, Counting(held).found(), START)
    assert [one.name for one in found.variants] == [HOLDOUT, "treated"]
    assert json.loads(encode_report(found))["control"] == HOLDOUT


def test_the_json_names_the_bounds() -> None:
    told = json.loads(encode_report(report_of(HALVES, counted(400, 404).found(), START)))
    control, treated = told["variants"]
    assert set(control["rates"]["click_through"]) == {"value", "low", "high"}
    assert set(treated["uplifts"]["click_through"]) == {"value", "low", "high", "p_value"}
    assert control["uplifts"] == {}
    assert set(told["sample_ratio"]) == {"chi_squared", "degrees", "p_value", "is_sound"}


def test_the_report_finds_a_true_uplift_and_seldom_one_where_none_is() -> None:
    found = selftest(1, Sizes())
    assert 0.02 <= found["aa_false_positive_rate"] <= 0.08
    assert 0.02 <= found["aa_false_positive_rate_conversion"] <= 0.08
    assert found["detected_true_uplift"]
    assert found["interval_holds_true_uplift"]
    # What the delta method by shopper is for: showings as if each were a shopper.
    assert found["aa_false_positive_rate_naive"] > 0.2
    assert not math.isnan(found["uplift"]["p_value"])
