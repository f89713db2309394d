"""Whom a shadow scores, what is compared, and that it never stands in the way."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from other_bundle import other_bundle

from endcap.bundle import load_bundle
from endcap.deploy.settings import DEMO_BUNDLE
from endcap.lists import ListItem, RecommendationList
from endcap.policy import Policy
from endcap.serving import metrics
from endcap.serving.calibration import warm_up_sessions
from endcap.serving.model_slot import Model, ModelSlot, Shadow
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.shadow import ShadowTrials, is_chosen, overlap_of
from endcap.sessions import Session
from endcap.timeline import Snapshot, Timeline, encode_snapshot


def model_of(folder: Path) -> Model:
    bundle = load_bundle(folder)
    return Model(bundle, OnnxScorer(bundle, threads=1))


@pytest.fixture(scope="module")
def shown() -> Model:
    return model_of(DEMO_BUNDLE)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return model_of(other_bundle(tmp_path_factory.mktemp("models") / "spring", "spring"))


def a_list(*items: str) -> RecommendationList:
    return RecommendationList(1, "m", 1, tuple(ListItem(item, 0.5, "") for item in items))


def offered(sessions: list[Session]) -> list[tuple[str, bytes]]:
    return [
        (session.user_id, encode_snapshot(Snapshot(Timeline(session), 0, 1, 0)))
        for session in sessions
    ]


def outcomes() -> dict[str, float]:
    names = ("compared", "skipped", "failed")
    return {name: metrics.SHADOW_LISTS.labels(name)._value.get() for name in names}


def moved(before: dict[str, float]) -> dict[str, float]:
    return {name: now - before[name] for name, now in outcomes().items() if now != before[name]}


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_holds_all_of_a_smaller_one(user: str, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert is_chosen(user, less) <= is_chosen(user, more)


def test_a_share_is_about_that_share_of_the_shoppers() -> None:
    chosen = sum(is_chosen(f"user-{number}", 0.1) for number in range(20_000))
    assert 1800 < chosen < 2200


def test_overlap_is_the_share_of_items_that_both_name() -> None:
    assert overlap_of(a_list("a", "b"), a_list("b", "a")) == 1.0
    assert overlap_of(a_list("a", "b", "c", "d"), a_list("d", "e")) == 0.25
    assert overlap_of(a_list("a"), a_list()) == 0.0
    assert overlap_of(a_list(), a_list()) == 1.0


def test_two_models_are_compared_on_the_same_shopper(shown: Model, tried: Model) -> None:
    def overlap_with(model: Model) -> float:
        slot = ModelSlot(shown)
        slot.cast(Shadow(model, 1.0))
        trials = ShadowTrials(slot, Policy(), None)
        trials.offer(offered(warm_up_sessions(shown.bundle)[4:5]))
        before = metrics.SHADOW_OVERLAP._sum.get()
        while trials:
            trials.step()
        return float(metrics.SHADOW_OVERLAP._sum.get() - before)

    assert overlap_with(shown) == 1.0
    assert overlap_with(tried) < 1.0


def test_only_the_chosen_are_compared(shown: Model, tried: Model) -> None:
    slot = ModelSlot(shown)
    trials = ShadowTrials(slot, Policy(), None)
    sessions = warm_up_sessions(shown.bundle, 40)
    trials.offer(offered(sessions))
    assert not trials
    slot.cast(Shadow(tried, 0.25))
    before = outcomes()
    trials.offer(offered(sessions))
    while trials:
        trials.step()
    chosen = sum(is_chosen(session.user_id, 0.25) for session in sessions)
    assert moved(before) == {"compared": chosen}
    assert 0 < chosen < 40


def test_of_too_many_the_longest_waiting_are_skipped(shown: Model, tried: Model) -> None:
    slot = ModelSlot(shown)
    slot.cast(Shadow(tried, 1.0))
    trials = ShadowTrials(slot, Policy(), None, most_waiting=3)
    before = outcomes()
    trials.offer(offered(warm_up_sessions(shown.bundle, 10)))
    assert moved(before) == {"skipped": 7}
    for _ in range(3):  # one shopper by both models, the next by the first of them
        trials.step()
    slot.cast(None)
    while trials:
        trials.step()
    assert moved(before) == {"compared": 1, "skipped": 9}


def test_a_shadow_that_fails_is_taken_off(shown: Model, tried: Model) -> None:
    slot = ModelSlot(shown)
    slot.cast(Shadow(tried, 1.0))
    trials = ShadowTrials(slot, Policy(), None)
    before = outcomes()
    trials.offer([("u", b"no snapshot"), *offered(warm_up_sessions(shown.bundle, 2))])
    while trials:
        trials.step()
    assert slot.shadow is None
    assert slot.current is shown
    assert moved(before) == {"failed": 1, "skipped": 2}
