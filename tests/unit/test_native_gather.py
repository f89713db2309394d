"""The compiled path of `gather_candidates` gives the numbers of the one in Python, to the last
bit."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from endcap.candidates import Crowd, Gatherer, gather_candidates, make_crowd
from endcap.candidates.gatherer import IS_BUILT
from endcap.candidates.generators import GeneratorOptions, Generators, build_generators
from endcap.candidates.generators_file import decode_generators, encode_generators
from endcap.events import EventType
from endcap.sessions import Act, Session, fold_acts

pytestmark = pytest.mark.skipif(not IS_BUILT, reason="the compiled path is not built here")

N_ITEMS = 400
DAY_MS = 86_400_000
CODES = tuple(EventType(name).code for name in ("view_item", "add_to_cart", "purchase"))
NAMES = {f"i{n}": n for n in range(1, N_ITEMS + 1)}


def shop(seed: int, events: int = 9000) -> Generators:
    """Some items are bought by all, most by few; sessions from one event to dozens. Scores in half
    precision, as a bundle has them, so that there are equals, and zeros."""
    rng = np.random.default_rng(seed)
    items = (N_ITEMS * rng.random(events) ** 3 + 1).astype(np.int32)
    sessions = np.sort(rng.integers(0, events // 5, events))
    built = build_generators(
        items, sessions // 3, sessions, np.sort(rng.integers(0, 90 * DAY_MS, events)),
        N_ITEMS, GeneratorOptions(keep=20),
    )  # fmt: skip
    return decode_generators(encode_generators(built))


def crowd(seed: int, count: int, only: int | None = None, natively: bool = True) -> Crowd:
    """From nobody known to two hundred events, some with items that the model never met."""
    rng = np.random.default_rng(seed)
    sessions, now_ms = [], []
    for number in range(count):
        size = int(200 * rng.random() ** 3) if number else 0
        session = fold_acts(
            Session(f"u{number}"),
            [
                Act(
                    int(when),
                    CODES[rng.integers(0, 3)],
                    b"",
                    tuple(f"i{int(N_ITEMS * 1.1 * rng.random() ** 2) + 1}" for _ in range(3)),
                )
                for when in np.sort(rng.integers(0, 120 * DAY_MS, size))
            ],
        )
        sessions.append(session)
        now_ms.append(session.updated_ms + int(rng.integers(0, 9 * DAY_MS)))
    if only is not None:
        sessions, now_ms = [sessions[only]], [now_ms[only]]
    return make_crowd(sessions, now_ms, NAMES, N_ITEMS, natively)


@pytest.mark.parametrize("seed", range(4))
def test_both_paths_translate_sessions_alike(seed: int) -> None:
    ours, plain = crowd(seed, 60), crowd(seed, 60, natively=False)
    assert sum(map(len, ours.strange)) > 0
    assert plain.cart.size > 0
    assert ours.strange == plain.strange
    for name, one, other in zip(plain._fields, ours, plain, strict=True):
        assert name == "strange" or np.array_equal(one, other), name


@pytest.mark.parametrize("seed", range(6))
def test_both_paths_find_the_same_and_say_the_same_of_it(seed: int) -> None:
    generators, asked = shop(seed), crowd(seed + 100, 60)
    found = Gatherer(generators, natively=True).gather(asked)
    plain = Gatherer(generators, natively=False).gather(asked)
    assert max(map(len, asked.strange)) > 0
    for name, ours, theirs in zip(plain._fields, found, plain, strict=True):
        assert np.array_equal(ours, theirs), name


def test_a_batch_says_of_each_what_the_shopper_alone_is_told() -> None:
    generators = shop(7)
    gatherer = Gatherer(generators, natively=True)
    together = gatherer.gather(crowd(8, 30))
    for row in range(30):
        one = crowd(8, 30, only=row)
        alone = gather_candidates(one.shopper(0), generators)
        for plain, of_batch, again in zip(
            alone, together.of(row), gatherer.gather(one).of(0), strict=True
        ):
            assert np.array_equal(plain, of_batch)
            assert np.array_equal(plain, again)


def test_a_shop_without_a_session_shows_nothing_but_what_the_shopper_met() -> None:
    nothing = np.empty(0, np.int32)
    empty = build_generators(
        nothing, nothing, nothing, nothing.astype(np.int64), N_ITEMS, GeneratorOptions(keep=5)
    )
    asked = crowd(9, 20)
    found = Gatherer(empty, natively=True).gather(asked)
    for row in range(asked.size):
        shopper = asked.shopper(row)
        known = set(shopper.history.tolist()) | set(shopper.bought.tolist())
        assert set(found.of(row).ids.tolist()) <= known
        assert np.array_equal(found.of(row).features, gather_candidates(shopper, empty).features)


def test_threads_that_ask_at_once_wait_for_one_another() -> None:
    gatherer = Gatherer(shop(10), natively=True)
    groups = [crowd(seed, 6) for seed in range(10)] * 4
    alone = [gatherer.gather(group) for group in groups]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(alone, pool.map(gatherer.gather, groups), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_nobody_asked_is_no_candidate() -> None:
    found = Gatherer(shop(12), natively=True).gather(make_crowd([], [], NAMES, N_ITEMS))
    assert found.ids.size == 0
    assert found.offsets.tolist() == [0]
