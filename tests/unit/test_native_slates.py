"""The compiled path of slates gives what `make_slate` gives, to the last digit and word."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pytest

from endcap.arrays import FloatArray
from endcap.bundle import load_bundle
from endcap.candidates import FEATURES, INPUTS, Crowd, Gathered, make_crowd
from endcap.candidates.features import BY_MODEL
from endcap.catalogue import CatalogueItem
from endcap.deploy.replay import load_shop, purchase_sessions
from endcap.deploy.settings import BUNDLES
from endcap.messages import ENGLISH, TEXTS, Messages
from endcap.policy import Policy
from endcap.repeats import NEVER_AGAIN_MS
from endcap.scoring import Scored
from endcap.serving.list_making import Items
from endcap.serving.onnx_session import OnnxScorer
from endcap.sessions import Carted, Purchased, Session
from endcap.slates import IS_BUILT, make_slates

pytestmark = pytest.mark.skipif(not IS_BUILT, reason="the compiled path is not built here")

N_ITEMS = 60
NOW_MS = 1_764_000_000_000
DAY_MS = 86_400_000
NAMES = {f"i{n}": n for n in range(1, N_ITEMS + 1)}
GERMAN = Messages({name: f"„{text}“ sagt man" for name, text in TEXTS.items()})
POLICIES = (
    Policy(),
    Policy(size=3, per_category=1),
    Policy(size=5, per_category=1000, just_bought_ms=40 * DAY_MS),
    Policy(size=1000, per_category=2, just_bought_ms=0),
)


class Shelf(NamedTuple):
    """Without `known` every item is asked for, as where the shop publishes its catalogue."""

    items: tuple[CatalogueItem, ...]
    known: tuple[CatalogueItem, ...]

    def at(self, strange: tuple[str, ...], index: int, /) -> CatalogueItem:
        if index <= len(self.items):
            return self.items[index - 1]
        item_id = strange[index - len(self.items) - 1]
        return CatalogueItem(item_id, item_id)


class Case(NamedTuple):
    sessions: list[Session]
    crowd: Crowd
    found: Gathered
    scored: Scored


def shelf_of(rng: np.random.Generator, is_asked: bool) -> Shelf:
    items = tuple(
        CatalogueItem(
            name,
            f"Item {name}",
            str(rng.choice(["", "a", "b", "c"])),
            in_stock=bool(rng.random() < 0.9),
            stock=rng.choice([None, 0, 3]),
        )
        for name in NAMES
    )
    return Shelf(items, () if is_asked else items)


def session_of(rng: np.random.Generator, number: int) -> Session:
    """Of some the model knows nothing; the first has done nothing."""
    named = [f"i{n}" for n in rng.permutation(int(N_ITEMS * 1.2))[: rng.integers(0, 30)]]
    ago = np.sort(rng.integers(0, 60 * DAY_MS, len(named)))[::-1] // DAY_MS * DAY_MS
    bought = [
        Purchased(name, int(rng.integers(1, 4)), NOW_MS - int(ms), 0, 1.0)
        for name, ms in zip(named, ago, strict=True)
    ]
    carted = [Carted(f"i{n + 1}", NOW_MS) for n in rng.permutation(N_ITEMS + 5)[:4]]
    return Session(f"u{number}", (), tuple(carted), tuple(bought)) if number else Session("u0")


def scores_of(rng: np.random.Generator, count: int) -> FloatArray:
    """Many equals; or every bit pattern that there is."""
    if rng.random() < 0.5:
        return rng.choice(np.array([-0.0, 0.0, 0.5, 0.12345, -1.00005], np.float32), count)
    return rng.integers(0, 1 << 32, count, np.uint64).astype(np.uint32).view(np.float32)


def told_of(rng: np.random.Generator, count: int) -> FloatArray:
    """Little is known of most; of some, habits of every kind."""
    told = rng.random((count, len(INPUTS)), np.float32)
    told *= rng.random(told.shape) < rng.choice([0.02, 0.2, 0.9])
    times = rng.integers(0, 6, count) * (rng.random(count) < 0.3)
    told[:, BY_MODEL + FEATURES.index("times_bought")] = np.log1p(times)
    days = rng.choice([0.0, 1.0, 9.0, 90.0], count)
    told[:, BY_MODEL + FEATURES.index("bought_recency")] = np.exp(-days / 30)
    told[:, BY_MODEL + FEATURES.index("due")] = rng.choice([0.0, 0.3, 0.9, 2.0, 4.0], count)
    return told


def case_of(rng: np.random.Generator, count: int) -> Case:
    sessions = [session_of(rng, number) for number in range(count)]
    crowd = make_crowd(sessions, [NOW_MS] * count, NAMES, N_ITEMS)
    nothing = np.empty(0, np.int32)
    ids, scored_ids, found_at, scored_at = [nothing], [nothing], [0], [0]
    for strange in crowd.strange:
        order = rng.permutation(np.arange(1, N_ITEMS + len(strange) + 1)).astype(np.int32)
        scored = order[: rng.integers(0, order.size + 1)]
        ids.append(scored[: rng.integers(0, scored.size + 1)])
        scored_ids.append(np.where(rng.random(scored.size) < 0.03, 0, scored).astype(np.int32))
        found_at.append(found_at[-1] + ids[-1].size)
        scored_at.append(scored_at[-1] + scored.size)
    because = rng.integers(0, N_ITEMS + 1, (2, found_at[-1])).astype(np.int32)
    because[rng.random(because.shape) < 0.5] = 0
    told = told_of(rng, found_at[-1])
    found = Gathered(np.concatenate(ids), told, *because, np.array(found_at))
    scores = scores_of(rng, scored_at[-1])
    return Case(
        sessions, crowd, found, Scored(np.concatenate(scored_ids), scores, np.array(scored_at))
    )


@pytest.mark.parametrize("seed", range(150))
def test_both_paths_make_the_same_slates(seed: int) -> None:
    rng = np.random.default_rng(seed)
    waits_ms = rng.choice([0, 7 * DAY_MS, 30 * DAY_MS, NEVER_AGAIN_MS], N_ITEMS + 1)
    waits_ms[0] = 0
    case, shelf = case_of(rng, int(rng.integers(0, 9))), shelf_of(rng, bool(seed % 2))
    messages = GERMAN if seed % 3 else ENGLISH
    for policy in POLICIES:
        plain, ours = (
            make_slates(*case, shelf, policy, waits_ms, messages, natively)
            for natively in (False, True)
        )
        assert repr(ours) == repr(plain)  # of no numbers and signed zeros, too


@pytest.mark.parametrize("natively", [False, True])
def test_these_shoppers_hear_all_there_is_to_say(natively: bool) -> None:
    said: set[str] = set()
    texts = Messages({name: f"{name}:{text}" for name, text in TEXTS.items()})
    everything = Policy(size=1000, per_category=1000, just_bought_ms=0)
    never_away = np.zeros(N_ITEMS + 1, np.int64)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        case, shelf = case_of(rng, 9), shelf_of(rng, is_asked=False)
        for slate in make_slates(*case, shelf, everything, never_away, texts, natively):
            said |= {item.reason.split(":")[0] for item in slate}
    elsewhere = {"popular_week", "popular_today_in", "popular_week_in", "together_often", "chosen"}
    assert said == TEXTS.keys() - elsewhere


def test_real_shoppers_get_the_same_slates_whatever_the_shop_says_of_its_items() -> None:
    bundle = load_bundle(BUNDLES / "completejourney")
    scorer = OnnxScorer(bundle, threads=1)
    sessions = [Session("new"), *purchase_sessions(load_shop().history)[::10]]
    crowd = bundle.crowd(sessions)
    found = bundle.gatherer.gather(crowd)
    case = Case(sessions, crowd, found, scorer.score(crowd, found))
    sold: Mapping[str, CatalogueItem] = {
        item.item_id: CatalogueItem(item.item_id, "New " + item.title, item.category, stock=at % 4)
        for at, item in enumerate(bundle.items)
        if at % 7
    }
    for policy, messages in zip(POLICIES, (ENGLISH, GERMAN) * 2, strict=True):
        for catalogue in (None, sold):
            items = Items(bundle, catalogue)
            plain, ours = (
                make_slates(*case, items, policy, bundle.waits_ms, messages, natively)
                for natively in (False, True)
            )
            assert ours == plain
            assert all(plain)
