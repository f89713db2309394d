"""Quality and drift as they are counted online, held to figures worked out by hand."""

import msgspec
import numpy as np
import pytest
from prometheus_client import REGISTRY

from endcap.bundle import Bundle, load_bundle, read_manifest
from endcap.deploy.settings import DEMO_BUNDLE
from endcap.events import EventType
from endcap.input_figures import InputCounts, popularity_fifths, stability_index
from endcap.lists import ListItem, RecommendationList
from endcap.serving.input_watch import InputWatch
from endcap.serving.online_quality import OnlineQuality, touched_since
from endcap.sessions import Act, Session, fold_acts

VIEW, ADD, REMOVE, BUY = (
    kind.code
    for kind in (
        EventType.VIEW_ITEM,
        EventType.ADD_TO_CART,
        EventType.REMOVE_FROM_CART,
        EventType.PURCHASE,
    )
)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(DEMO_BUNDLE)


def session_of(user: str, *acts: tuple[int, int, str]) -> Session:
    """Acts as (time, kind, item)."""
    made = [Act(at, kind, bytes([n]) * 8, (item,)) for n, (at, kind, item) in enumerate(acts)]
    return fold_acts(Session(user), made)


def list_of(*items: str) -> RecommendationList:
    return RecommendationList(1, "m", 1, tuple(ListItem(item, 1.0, "") for item in items))


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Looked:
    """What looking has counted since this began."""

    def __init__(self) -> None:
        self._before = self._now()

    @staticmethod
    def _now() -> tuple[float, ...]:
        return (
            counted("endcap_online_judged_total"),
            counted("endcap_online_hits_total", ranker="endcap"),
            counted("endcap_online_hits_total", ranker="popular"),
        )

    @property
    def judged_hit_popular(self) -> tuple[float, ...]:
        return tuple(now - then for now, then in zip(self._now(), self._before, strict=True))


def test_a_list_is_judged_by_what_its_shopper_touches_next(bundle: Bundle) -> None:
    best = bundle.item(int(bundle.generators.popular[0])).item_id
    quality, looked = OnlineQuality(), Looked()
    first = session_of("a", (1, VIEW, "x"))
    quality.look([first], {"a": list_of("y", "z")}, bundle)
    assert looked.judged_hit_popular == (0, 0, 0)
    second = session_of("a", (1, VIEW, "x"), (2, VIEW, "z"))
    quality.look([second], {"a": list_of("q")}, bundle)
    assert looked.judged_hit_popular == (1, 1, 0)
    third = session_of("a", (1, VIEW, "x"), (2, VIEW, "z"), (3, BUY, best))
    quality.look([third], {"a": list_of("q")}, bundle)
    assert looked.judged_hit_popular == (2, 1, 1)


def test_only_the_first_ten_of_a_list_count(bundle: Bundle) -> None:
    quality, looked = OnlineQuality(), Looked()
    quality.look([session_of("a", (1, VIEW, "x"))], {"a": list_of(*map(str, range(20)))}, bundle)
    quality.look([session_of("a", (1, VIEW, "x"), (2, VIEW, "10"))], {}, bundle)
    assert looked.judged_hit_popular[:2] == (1, 0)


def test_buying_what_lay_in_the_cart_says_nothing_of_a_list() -> None:
    carted = session_of("a", (1, ADD, "x"), (3, BUY, "x"))
    assert touched_since(carted, 2) == set()
    taken_out = session_of("a", (1, ADD, "x"), (2, REMOVE, "x"), (4, BUY, "x"))
    assert touched_since(taken_out, 3) == {"x"}
    added = session_of("a", (1, VIEW, "w"), (3, ADD, "x"), (4, BUY, "x"))
    assert touched_since(added, 2) == {"x"}


def test_who_was_erased_is_not_judged_and_few_are_held(bundle: Bundle) -> None:
    quality, looked = OnlineQuality(most_held=1), Looked()
    for user in ("a", "b"):
        quality.look([session_of(user, (1, VIEW, "x"))], {user: list_of("z")}, bundle)
    quality.forget(["b"])
    again = [session_of(user, (1, VIEW, "x"), (2, VIEW, "z")) for user in ("a", "b")]
    quality.look(again, {}, bundle)
    assert looked.judged_hit_popular == (0, 0, 0)


def test_coverage_is_of_the_last_round_and_the_one_in_hand(bundle: Bundle) -> None:
    quality = OnlineQuality(round_of=2)
    session = [session_of("a", (1, VIEW, "x"))]
    seen = []
    for items in (("1", "2"), ("2", "3"), ("3", "4"), ("4",), ("4",)):
        quality.look(session, {"a": list_of(*items)}, bundle)
        seen.append(round(counted("endcap_online_coverage") * len(bundle.items)))
    assert seen == [2, 3, 4, 4, 2]


def test_an_index_of_stability_is_the_one_of_the_rules() -> None:
    # deploy/monitoring/prometheus/tests has the same shares, and the same index.
    moved = stability_index({"a": 0.5, "b": 0.5}, {"a": 0.8, "b": 0.2})
    assert moved == pytest.approx(0.4159, abs=5e-5)
    assert stability_index({"a": 1.0}, {"a": 1.0, "b": 0.0}) == 0


def test_sessions_are_counted_in_the_bins_of_their_newest_event(bundle: Bundle) -> None:
    best = bundle.item(int(np.argmax(bundle.generators.popularity))).item_id
    sessions = [
        Session("nobody"),
        session_of("a", (1, VIEW, best)),
        session_of("b", (1, VIEW, best), (2, BUY, best), (3, VIEW, "never heard of")),
    ]
    counts = InputCounts()
    counts.add(bundle.crowd(sessions), bundle.fifths)
    by_bin = {
        feature: {each: count for each, count in bins.items() if count}
        for feature, bins in counts.by_bin().items()
    }
    assert by_bin == {
        "history_length": {"0": 1, "1": 1, "3-4": 1},
        "newest_event": {"none": 1, "view_item": 2},
        "newest_item": {"fifth_1": 1},
        "item_met": {"met": 1, "unmet": 1},
    }


def test_an_item_stands_in_the_fifth_of_events_that_better_sellers_leave_it() -> None:
    popularity = np.array([0, 0.125, 0.5, 0.25, 0.125, 0], np.float32)
    assert popularity_fifths(popularity).tolist() == [4, 3, 0, 2, 4, 4]


def test_the_demos_bundle_has_figures_and_one_without_says_so(bundle: Bundle) -> None:
    figures = read_manifest(DEMO_BUNDLE).inputs
    assert figures is not None
    for shares in figures.shares.values():
        assert sum(shares.values()) == pytest.approx(1.0, abs=1e-4)
    old = bundle._replace(manifest=msgspec.structs.replace(bundle.manifest, inputs=None))
    watch = InputWatch()
    crowd = old.crowd([session_of("a", (1, VIEW, "x"))])
    watch.count(old, crowd, old.gatherer.gather(crowd))
    found = {family.name: family.samples for family in watch.collect()}
    assert [s.value for s in found["endcap_model_input_reference_known"]] == [0.0]
    assert found["endcap_model_input_reference_share"] == []
