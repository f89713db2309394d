"""Which list a shopper gets by their variants, and what happens where one cannot be made."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace
from other_bundle import other_bundle

from endcap.bundle import load_bundle
from endcap.deploy.settings import DEMO_BUNDLE
from endcap.experiments import HOLDOUT, Experiment, Experiments, Explore, Variant, variant_of
from endcap.lists import GENERATION, ListItem, RecommendationList
from endcap.policy import Policy
from endcap.serving import metrics
from endcap.serving.calibration import warm_up_sessions
from endcap.serving.memory_store import MemoryStore
from endcap.serving.model_slot import Model
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.rescorer import rescore
from endcap.serving.ruled_lists import RuledLists
from endcap.serving.shop_window import ShopWindow
from endcap.serving.variants import Lists, Running, VariantSlot, treatment_of
from endcap.sessions import Session

SUMMER = Experiment(
    "summer",
    "2026-01-01",
    "2100-01-01",
    (
        Variant("control", 0.4),
        Variant("other", 0.4, model="spring", explore=Explore(1.0, (2,))),
    ),
    holdout=0.2,
)
SLATE = Experiment(
    "slate",
    "2026-01-01",
    "2100-01-01",
    (Variant("twenty", 0.5), Variant("seven", 0.5, policy={"size": 7})),
)
TRENDING = RecommendationList(
    9, "trending", 9, tuple(ListItem(f"t{n}", 1.0, "popular") for n in range(30))
)


def model_of(folder: Path) -> Model:
    bundle = load_bundle(folder)
    return Model(bundle, OnnxScorer(bundle, threads=1))


@pytest.fixture(scope="module")
def current() -> Model:
    return model_of(DEMO_BUNDLE)


@pytest.fixture(scope="module")
def spring(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return model_of(other_bundle(tmp_path_factory.mktemp("models") / "spring", "spring"))


@pytest.fixture(scope="module")
def sessions(current: Model) -> list[Session]:
    return warm_up_sessions(current.bundle, 48)


def made_by(sessions: Sequence[Session], model: Model, policy: Policy) -> Lists:
    return rescore(sessions, model.bundle, model.scorer, policy)


def shown(lists: Lists) -> dict[str, tuple[str, ...]]:
    return {user: tuple(item.id for item in ready.items) for user, ready in lists.items()}


def test_without_experiments_lists_are_those_of_the_current_model(
    current: Model, sessions: list[Session]
) -> None:
    lists = VariantSlot().lists(sessions, current, Policy(), made_by)
    assert shown(lists) == shown(made_by(sessions, current, Policy()))
    assert {ready.variant for ready in lists.values()} == {""}


def test_each_list_is_what_its_variants_make_of_the_session(
    current: Model, spring: Model, sessions: list[Session]
) -> None:
    slot = VariantSlot(Running(Experiments((SUMMER, SLATE)), {"spring": spring}), generation=3)
    slot.keep_trending(TRENDING)
    lists = slot.lists(sessions, current, Policy(), made_by)
    assert list(lists) != []
    assert set(lists) == {session.user_id for session in sessions}
    for session in sessions:
        user = session.user_id
        summer, size = variant_of(SUMMER, user), 7 if variant_of(SLATE, user) == "seven" else 20
        if summer == HOLDOUT:
            assert lists[user].variant == "summer=holdout"
            assert lists[user].items == TRENDING.items[:20]
            assert lists[user].version == 2 * GENERATION + session.events_folded
            continue
        model = spring if summer == "other" else current
        alone = made_by([session], model, Policy(size=size))[user]
        found = shown(lists)[user]
        if summer == "control":
            assert found == shown({user: alone})[user]
        else:
            assert found[0] == alone.items[0].id
            assert sorted(found) == sorted(shown({user: alone})[user])
            chances = [item.propensity for item in lists[user].items]
            assert chances[0] == 1.0
            assert chances[1] == pytest.approx(1 / (size - 1), rel=1e-5)


def test_a_model_that_fails_costs_no_list_and_is_not_counted(
    current: Model, spring: Model, sessions: list[Session], caplog: pytest.LogCaptureFixture
) -> None:
    def fails(some: Sequence[Session], model: Model, policy: Policy) -> Lists:
        if model is spring:
            raise RuntimeError("no such graph")
        return made_by(some, model, policy)

    slot = VariantSlot(Running(Experiments((SUMMER,)), {"spring": spring}))
    slot.keep_trending(TRENDING)
    theirs = [each for each in sessions if variant_of(SUMMER, each.user_id) == "other"]
    failures = metrics.VARIANT_FAILURES.labels("summer=other")
    before = failures._value.get()
    lists = slot.lists(sessions, current, Policy(), fails)
    assert len(lists) == len(sessions)
    assert {lists[each.user_id].variant for each in theirs} == {""}
    assert {lists[each.user_id].model for each in theirs} == {current.bundle.manifest.name}
    assert failures._value.get() - before == len(theirs)
    assert "spring cannot make the lists of a variant" in caplog.text


def test_the_current_model_that_fails_is_an_error_as_without_experiments(
    current: Model, sessions: list[Session]
) -> None:
    def fails(some: Sequence[Session], model: Model, policy: Policy) -> Lists:
        raise RuntimeError("no such graph")

    slot = VariantSlot(Running(Experiments((SLATE,))))
    with pytest.raises(RuntimeError, match="no such graph"):
        slot.lists(sessions, current, Policy(), fails)


def test_while_nothing_trends_a_holdout_has_lists_of_the_model_and_is_not_counted(
    current: Model, sessions: list[Session]
) -> None:
    held = Experiment("all", "2026-01-01", "2100-01-01", (Variant("rest", 0.0),), holdout=1.0)
    lists = VariantSlot(Running(Experiments((held,)))).lists(sessions, current, Policy(), made_by)
    assert {ready.variant for ready in lists.values()} == {""}
    assert shown(lists) == shown(made_by(sessions, current, Policy()))


def test_chance_for_everybody_yields_to_that_of_a_variant(spring: Model) -> None:
    everybody, own = Explore(0.1, (4,)), SUMMER.variants[1].explore
    running = Running(Experiments((SUMMER, SLATE), everybody), {"spring": spring})
    found = treatment_of([(SUMMER, "other"), (SLATE, "seven")], running, Policy())
    assert (found.model, found.policy.size, found.explore) == (spring, 7, own)
    assert treatment_of([(SLATE, "twenty")], running, Policy()).explore == everybody
    assert treatment_of([(SUMMER, HOLDOUT)], running, Policy()).explore is None


def test_batches_of_a_variants_model_keep_to_its_bound(
    current: Model, spring: Model, sessions: list[Session]
) -> None:
    sizes: list[int] = []

    def counts(some: Sequence[Session], model: Model, policy: Policy) -> Lists:
        sizes.append(len(some) if model is small else 0)
        return made_by(some, model, policy)

    small = spring._replace(max_batch=3)
    slot = VariantSlot(Running(Experiments((SUMMER,)), {"spring": small}))
    slot.keep_trending(TRENDING)
    assert len(slot.lists(sessions, current, Policy(), counts)) == len(sessions)
    assert max(sizes) == 3


async def test_an_answer_over_http_names_the_variant_and_the_chance_of_its_items() -> None:
    """Else a page could not send them back."""
    chosen = replace(TRENDING, variant="summer=other", items=(ListItem("a", 1.0, "", 0.25),))
    window = ShopWindow(RuledLists(MemoryStore()))
    told = json.loads(await window.show("own", chosen))
    assert (told["variant"], told["items"][0]["propensity"]) == ("summer=other", 0.25)
    plain = json.loads(await window.show("trending", TRENDING))
    assert "variant" not in plain
    assert "propensity" not in plain["items"][0]
