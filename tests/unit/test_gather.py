"""Candidates and what is told of each, on a shop small enough to check by hand."""

import numpy as np
import pytest

from endcap.batches import gap_steps, make_batch
from endcap.candidates import (
    CONTEXT,
    FEATURES,
    GENERATED,
    Gatherer,
    gather_candidates,
    make_crowd,
    shopper_from_session,
)
from endcap.candidates.gather import MAX_CANDIDATES
from endcap.candidates.generators import GeneratorOptions, Generators, build_generators
from endcap.candidates.generators_file import decode_generators, encode_generators
from endcap.events import EventType
from endcap.sessions import Act, Session, fold_acts

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
VIEW, ADD, BUY = EventType.VIEW_ITEM.code, EventType.ADD_TO_CART.code, EventType.PURCHASE.code
N_ITEMS = 9
INDEX_OF = {f"i{n}": n for n in range(1, N_ITEMS + 1)}


@pytest.fixture(scope="module")
def generators() -> Generators:
    """Two shoppers. The first: 1 2 3, and a day later 4. The second: 1 2, then 5."""
    items = np.array([1, 2, 3, 4, 1, 2, 5], dtype=np.int32)
    shoppers = np.array([0, 0, 0, 0, 1, 1, 1])
    sessions = np.array([0, 0, 0, 1, 2, 2, 2])
    times = np.array([0, 1, 2, DAY_MS, 3, 4, 5], dtype=np.int64)
    return build_generators(items, shoppers, sessions, times, N_ITEMS, GeneratorOptions(keep=4))


def session_of(*acts: tuple[int, int, str]) -> Session:
    return fold_acts(Session("u"), [Act(at, code, b"", (item,)) for at, code, item in acts])


def told(session: Session, generators: Generators, now_ms: int) -> dict[int, dict[str, float]]:
    found = gather_candidates(shopper_from_session(session, INDEX_OF, now_ms, N_ITEMS), generators)
    rows = found.features.tolist()
    assert found.ids.tolist() == sorted(set(found.ids.tolist()))
    return {
        int(item): dict(zip(FEATURES, row, strict=True))
        for item, row in zip(found.ids, rows, strict=True)
    }


def test_what_a_shopper_last_did_with_an_item_is_told(generators: Generators) -> None:
    session = session_of((0, VIEW, "i7"), (HOUR_MS, VIEW, "i8"), (2 * HOUR_MS, ADD, "i7"))
    seven, eight = (told(session, generators, 26 * HOUR_MS)[item] for item in (7, 8))
    assert (seven["last_carted"], seven["last_viewed"], seven["in_cart"]) == (1, 0, 1)
    assert seven["in_history"] == pytest.approx(np.log(3))
    assert seven["history_recency"] == 1.0
    assert seven["history_time"] == pytest.approx(np.exp(-1.0))
    assert (eight["last_carted"], eight["last_viewed"], eight["in_cart"]) == (0, 1, 0)
    assert eight["history_recency"] == 0.5
    assert (seven["views"], seven["carts"]) == pytest.approx((np.log(2), np.log(2)))
    assert (eight["views"], eight["carts"]) == pytest.approx((np.log(2), 0))


def test_a_purchase_is_a_habit_and_no_longer_in_the_cart(generators: Generators) -> None:
    session = session_of((0, ADD, "i7"), (HOUR_MS, BUY, "i7"), (DAY_MS, BUY, "i7"))
    seven = told(session, generators, 3 * DAY_MS)[7]
    assert seven["times_bought"] == pytest.approx(np.log(3))
    assert (seven["last_bought"], seven["in_cart"], seven["gap_known"]) == (1, 0, 1)
    # Two days since, and a gap of 23 hours counts as a day.
    assert seven["due"] == pytest.approx(2.0)


def test_a_session_speaks_for_what_followed_and_a_history_for_what_came_days_later(
    generators: Generators,
) -> None:
    found = told(session_of((0, VIEW, "i1")), generators, 0)
    assert found[2]["following"] > found[3]["following"] > 0
    assert found[4]["following"] == found[4]["together"] == 0
    assert found[4]["alike"] > 0
    assert found[2]["stan"] > 0
    assert all(found[1][name] == 0 for name in ("following", "together", "alike"))


def test_a_session_speaks_for_what_came_before_and_what_stood_beside(
    generators: Generators,
) -> None:
    found = told(session_of((0, VIEW, "i2")), generators, 0)
    assert found[1]["preceding"] > 0 == found[3]["preceding"]
    assert found[3]["following"] > 0 == found[1]["following"]
    both = found[3]["stan_near"] + found[5]["stan_near"]
    assert found[1]["stan_near"] == pytest.approx(both, rel=1e-3)
    far = told(session_of((0, VIEW, "i1")), generators, 0)
    assert far[2]["stan_near"] > 2 * far[3]["stan_near"] > 0


def test_an_item_is_due_by_how_long_others_wait_before_they_come_back() -> None:
    """Two come back to the first item after two days, nobody to the second."""
    items = np.array([1, 2, 1, 1, 1, 2], dtype=np.int32)
    shoppers = np.array([0, 0, 0, 1, 1, 1])
    sessions = np.array([0, 0, 1, 2, 3, 3])
    times = np.array([0, 1, 2 * DAY_MS, 3, 2 * DAY_MS + 3, 2 * DAY_MS + 4], dtype=np.int64)
    shop = build_generators(items, shoppers, sessions, times, N_ITEMS, GeneratorOptions(keep=4))
    assert shop.returns.gap_days[1] == pytest.approx(2.0)
    assert shop.returns.share[1] > shop.returns.share[3] > shop.returns.share[2]
    found = told(session_of((0, BUY, "i1"), (0, VIEW, "i2")), shop, 3 * DAY_MS)
    assert found[1]["due_as_others"] == pytest.approx(1.5)
    assert found[1]["returns"] > found[2]["returns"]
    later = told(session_of((0, BUY, "i1")), shop, 30 * DAY_MS)
    assert later[1]["due_as_others"] == 4.0


def test_an_item_that_the_model_never_met_may_be_wanted_again(generators: Generators) -> None:
    """Put on sale this morning: no event of it was known when the model learned."""
    session = session_of((0, VIEW, "fresh"), (5, VIEW, "i2"), (9, ADD, "fresh"))
    shopper = shopper_from_session(session, INDEX_OF, HOUR_MS, N_ITEMS)
    assert shopper.strange == ("fresh",)
    found = gather_candidates(shopper, generators)
    assert found.ids[-1] == N_ITEMS + 1
    of_it = dict(zip(FEATURES, found.features[-1].tolist(), strict=True))
    assert (of_it["views"], of_it["in_cart"], of_it["last_carted"]) == (
        pytest.approx(np.log(2)),
        1,
        1,
    )
    assert not found.features[-1, GENERATED:].any()
    # It says nothing of others, and takes no place where the Transformer looks.
    without = gather_candidates(
        shopper_from_session(session_of((5, VIEW, "i2")), INDEX_OF, HOUR_MS, N_ITEMS), generators
    )
    assert found.ids[:-1].tolist() == without.ids.tolist()
    crowd = make_crowd([session], [HOUR_MS], INDEX_OF, N_ITEMS)
    batch = make_batch(crowd, Gatherer(generators).gather(crowd), max_length=5)
    assert batch.item_ids.tolist() == [[2]]


def test_what_no_generator_names_is_no_candidate_but_what_was_seen_is(
    generators: Generators,
) -> None:
    found = told(session_of((0, VIEW, "i9")), generators, 0)
    assert 9 in found
    assert not {6, 7, 8} & found.keys()
    assert all(found[9][name] == 0 for name in FEATURES[GENERATED:])


def test_candidates_are_capped_and_each_source_keeps_its_best() -> None:
    n = 2000
    rng = np.random.default_rng(0)
    items = rng.integers(1, n + 1, 40_000).astype(np.int32)
    sessions = np.repeat(np.arange(4000), 10)
    times = np.arange(items.size, dtype=np.int64)
    generators = build_generators(items, sessions, sessions, times, n, GeneratorOptions())
    index_of = {str(item): item for item in range(1, n + 1)}
    acts = [Act(at, VIEW, b"", (str(int(items[at])),)) for at in range(60)]
    session = fold_acts(Session("u"), acts)
    found = gather_candidates(shopper_from_session(session, index_of, 60, n), generators)
    assert found.ids.size == MAX_CANDIDATES
    assert np.isin(generators.popular[:5], found.ids).all()
    assert int(items[59]) in found.ids


def test_generators_come_back_from_their_file(generators: Generators) -> None:
    again = decode_generators(encode_generators(generators))
    for name in ("popular", "popularity", "popularity_now"):
        np.testing.assert_array_equal(getattr(again, name), getattr(generators, name))
    for ours, theirs in zip(again.sessions, generators.sessions, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(again.returns, generators.returns, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3)
    for name in ("following", "preceding", "together", "alike"):
        ours, theirs = getattr(again, name), getattr(generators, name)
        np.testing.assert_array_equal(ours.ids, theirs.ids)
        np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-3)


def test_a_batch_is_padded_on_the_left_and_knows_the_gaps(generators: Generators) -> None:
    sessions = [
        session_of((0, VIEW, "i1"), (HOUR_MS, VIEW, "i2"), (DAY_MS, ADD, "i3")),
        session_of((5, VIEW, "i4")),
        Session("nobody"),
    ]
    crowd = make_crowd(sessions, [DAY_MS] * 3, INDEX_OF, N_ITEMS)
    batch = make_batch(crowd, Gatherer(generators).gather(crowd), max_length=2)
    assert batch.item_ids.tolist() == [[2, 3], [0, 4], [0, 0]]
    assert batch.event_types.tolist() == [[VIEW, ADD], [0, VIEW], [0, 0]]
    expected = gap_steps(np.array([23 * HOUR_MS]))[0]
    assert batch.time_gaps.tolist() == [[0, expected], [0, 0], [0, 0]]
    assert batch.context.shape == (3, len(CONTEXT))
    assert batch.context[0, CONTEXT.index("last_was_cart")] == 1
    assert (batch.candidate_ids[2] > 0).sum() == generators.popular.size
