"""What `endcap bench rescore` counts and reports. How quick it is, it says itself."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from endcap import deploy
from endcap.bundle import load_bundle
from endcap.deploy.bench.flops import Sizes, flops_of, sgemm_flops_per_s
from endcap.deploy.bench.rescore import bench_rescore
from endcap.deploy.bench.session_lengths import COUNTS, cut_to, drawn_lengths
from endcap.errors import BundleError
from endcap.sessions import Interaction, Purchased, Session

COMMITTED = Path(deploy.__file__).parent / "bundles" / "completejourney"


def shopper(name: str, items: list[str]) -> Session:
    return Session(
        name,
        tuple(Interaction(item, 12, at) for at, item in enumerate(items)),
        (),
        tuple(Purchased(item, 1, 5, 5, 1.0) for item in dict.fromkeys(items)),
        len(items),
        len(items),
    )


def test_operations_are_counted_as_the_layers_have_them() -> None:
    sizes = Sizes(dim=2, layers=1, rows=5, inputs=3, width=4)
    one_event = flops_of(sizes, np.array([1]), scored=0)
    # 24 d^2 + 4 d of a layer, 6 d^2 + 4 d of the mixture, a row of the catalogue for each item.
    assert one_event == 24 * 4 + 8 + 6 * 4 + 8 + 2 * 5 * 2
    assert flops_of(sizes, np.array([1]), scored=10) - one_event == 20 * (3 * 4 + 16 + 4)
    assert flops_of(sizes, np.array([1, 1]), 0) == 2 * one_event
    assert sgemm_flops_per_s() > 1e8


def test_lengths_are_those_of_a_real_clickstream() -> None:
    assert sum(COUNTS) == 60_858
    lengths = drawn_lengths(20_000)
    assert lengths.mean() == pytest.approx(4.03, abs=0.1)
    assert (lengths.min(), lengths.max()) == (1, pytest.approx(35, abs=5))


def test_a_shopper_cut_short_is_known_by_the_newest_events_alone() -> None:
    cut = cut_to(shopper("u", ["a", "b", "c", "b"]), 2)
    assert [past.item_id for past in cut.interactions] == ["c", "b"]
    assert [past.item_id for past in cut.purchased] == ["b", "c"]


def test_the_report_has_its_keys_and_refuses_a_bundle_without_stages() -> None:
    bundle = load_bundle(COMMITTED)
    known = [item.item_id for item in bundle.items[:60]]
    sessions = [shopper(str(n), known[n : n + 20]) for n in range(12)]

    def quietly(done: int, of: int) -> None:
        assert done <= of

    found = bench_rescore(bundle, sessions, 4, 1, None, "cpu", quietly)
    asked = {"users_per_s_per_core", "ratio_to_padded", "ratio_to_torch", "fraction_of_flop_limit"}
    assert asked <= found.keys()
    assert found["ratio_to_torch"] is None
    assert found["users"] == 12
    assert [row["batch"] for row in found["by_batch"]] == [1, 8]
    assert all(row["padded_users_per_s_per_core"] > 0 for row in found["by_batch"])
    assert found["fraction_of_flop_limit"] > 0
    manifest = msgspec.structs.replace(bundle.manifest, stages=None)
    with pytest.raises(BundleError, match="no stages"):
        bench_rescore(
            bundle._replace(stages=None, manifest=manifest), sessions, 4, 1, None, "cpu", quietly
        )
