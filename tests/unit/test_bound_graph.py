"""The whole graph in fixed shapes scores as the plain one, on a CPU and, where there is one, on a
GPU."""

from functools import cache

import numpy as np
import pytest

from endcap.batches import Batch, make_batch
from endcap.bundle import Bundle, load_bundle
from endcap.deploy.settings import BUNDLES
from endcap.errors import ProviderUnavailableError
from endcap.events import EventType
from endcap.scoring import without_padding
from endcap.serving import metrics
from endcap.serving.bound_graph import CUDA, BoundGraph
from endcap.serving.buckets import Bucket, bucket_of, buckets_for, empty, fill, in_parts, shape_of
from endcap.serving.model_slot import Model, ModelSlot
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.whole_graph import WholeGraph
from endcap.sessions import Act, Session, fold_acts

SMALL = (Bucket(1, 8, 300), Bucket(4, 8, 300), Bucket(4, 50, 300))
TO = {"cpu": 1e-5, "cuda": 1e-3}


@cache
def bundle() -> Bundle:
    return load_bundle(BUNDLES / "completejourney")


@cache
def whole(provider: str) -> WholeGraph:
    return WholeGraph(bundle().model, bundle().manifest.name, provider, 1)


@cache
def on_a_gpu() -> bool:
    return whole("cuda").provider == CUDA


def shoppers(lengths: list[int], seed: int = 0) -> list[Session]:
    """Of as many events, of items drawn by chance, more of those that come first."""
    rng = np.random.default_rng(seed)
    made = []
    for number, length in enumerate(lengths):
        at = (rng.random(length) ** 2 * len(bundle().items)).astype(int)
        acts = [
            Act(n, EventType.VIEW_ITEM.code, bytes([n]), (bundle().items[i].item_id,))
            for n, i in enumerate(at.tolist(), start=1)
        ]
        made.append(fold_acts(Session(f"u{number}"), acts))
    return made


def asked(lengths: list[int], seed: int = 0) -> Batch:
    crowd = bundle().crowd(shoppers(lengths, seed))
    return make_batch(crowd, bundle().gatherer.gather(crowd), bundle().manifest.max_length)


def assert_the_same(graph: BoundGraph, batch: Batch, to: float) -> None:
    """Shopper by shopper the same candidates and items added, with the same scores; of the items
    added one in fifty may be another that is as near as rounding tells apart."""
    found, expected = graph.run(batch), whole("cpu").run(batch)
    assert found.ids.shape == found.scores.shape == expected.ids.shape
    width = batch.candidate_ids.shape[1]
    np.testing.assert_array_equal(found.ids[:, :width], expected.ids[:, :width])
    ours, theirs = without_padding(found), without_padding(expected)
    for row in range(ours.offsets.size - 1):
        one, other = (
            dict(zip(*(each.tolist() for each in scored.row(row)), strict=True))
            for scored in (ours, theirs)
        )
        both = one.keys() & other.keys()
        assert len(both) >= 0.98 * len(other)
        assert max(abs(one[item] - other[item]) for item in both) <= to


def test_a_batch_written_into_a_bucket_loses_nothing_and_the_rest_is_padding() -> None:
    batch = asked([3, 0, 6])
    place = empty(Bucket(4, 8, 300))
    for array in place:
        array[:] = 7  # what an earlier batch left
    fill(place, batch)
    rows, length, width = shape_of(batch)
    for into, given in zip(place[:3], batch[:3], strict=True):
        np.testing.assert_array_equal(into[:rows, 8 - length :], given)
        assert into.sum() == given.sum()
    for into, given in zip(place[3:5], batch[3:5], strict=True):
        np.testing.assert_array_equal(into[:rows, :width], given)
        assert not into[rows:].any()
        assert not into[:, width:].any()
    np.testing.assert_array_equal(place.context[:rows], batch.context)
    assert not place.context[rows:].any()


def test_the_smallest_bucket_that_holds_all_is_taken_and_none_where_none_does() -> None:
    assert bucket_of(empty(Bucket(1, 2, 10)), SMALL) == SMALL[0]
    assert bucket_of(empty(Bucket(3, 8, 300)), SMALL) == SMALL[1]
    assert bucket_of(empty(Bucket(1, 9, 1)), SMALL) == SMALL[2]
    for too_large in (Bucket(5, 1, 1), Bucket(1, 51, 1), Bucket(1, 1, 301)):
        assert bucket_of(empty(too_large), SMALL) is None


def test_buckets_reach_all_that_a_shopper_can_have_and_a_large_catalogue_has_fewer_rows() -> None:
    small, large = (buckets_for(items, 50, 300) for items in (10_000, 1_000_000))
    for buckets in (small, large):
        assert list(buckets) == sorted(buckets)
        assert {bucket.candidates for bucket in buckets} == {300}
        assert {bucket.length for bucket in buckets} == {8, 50}
    assert small[-1].rows == 256
    assert large[-1].rows == 64
    assert {bucket.length for bucket in buckets_for(10, 5, 300)} == {5}


def test_a_batch_is_split_in_its_order() -> None:
    batch = asked([1, 2, 3, 4, 5])
    parts = list(in_parts(batch, 2))
    assert [shape_of(part).rows for part in parts] == [2, 2, 1]
    for whole_array, *cut in zip(batch, *parts, strict=True):
        np.testing.assert_array_equal(np.concatenate(cut), whole_array)


@pytest.mark.parametrize("provider", ["cpu", "cuda"])
def test_buckets_score_as_the_plain_graph(provider: str) -> None:
    if provider == "cuda" and not on_a_gpu():
        pytest.skip("there is no GPU here, or onnxruntime-gpu is not installed")
    graph = BoundGraph(whole(provider), SMALL)
    # Long ones first: what they leave in the buffers must not be heard by those that follow.
    for lengths in ([50, 49, 20, 9], [1], [0], [2, 0, 8], [5] * 4):
        assert_the_same(graph, asked(lengths, seed=len(lengths)), TO[provider])
    assert graph.captured == (len(SMALL) if provider == "cuda" else 0)


@pytest.mark.parametrize("provider", ["cpu", "cuda"])
def test_what_is_larger_than_every_bucket_is_split_or_runs_as_it_is(provider: str) -> None:
    if provider == "cuda" and not on_a_gpu():
        pytest.skip("there is no GPU here, or onnxruntime-gpu is not installed")
    graph = BoundGraph(whole(provider), (Bucket(2, 8, 300),))
    assert_the_same(graph, asked([3, 1, 4, 1, 5]), TO[provider])
    assert_the_same(graph, asked([30, 2, 1]), TO[provider])


def test_answers_stay_as_they_are_while_the_buffers_are_used_again() -> None:
    graph = BoundGraph(whole("cpu"), SMALL[:1])
    first = graph.run(asked([3]))
    kept = first.scores.copy()
    graph.run(asked([7], seed=1))
    np.testing.assert_array_equal(first.scores, kept)


def test_a_gpu_that_is_not_there_is_told_of_or_refused_as_one_wishes() -> None:
    if on_a_gpu():
        pytest.skip("there is a GPU here")
    scorer = OnnxScorer(bundle(), "cuda", 1)
    assert scorer.fell_back
    assert scorer.provider == "CPUExecutionProvider"
    ModelSlot(Model(bundle(), scorer))
    assert metrics.CPU_FALLBACK._value.get() == 1  # of the model that is in use
    with pytest.raises(ProviderUnavailableError, match=r"CUDA.*was asked for.*running\.md"):
        OnnxScorer(bundle(), "cuda", 1, may_fall_back=False)


def test_metrics_count_the_shapes_of_the_model_that_is_in_use() -> None:
    scorer = OnnxScorer(bundle(), "cpu", 1)
    slot = ModelSlot(Model(bundle(), scorer))
    assert metrics.CUDA_GRAPHS._value.get() == metrics.CUDA_BUCKETS._value.get() == 0
    scorer.captured, scorer.buckets = 7, 8
    slot.replace(Model(bundle(), scorer))
    assert metrics.CUDA_GRAPHS._value.get() == 7
    assert metrics.CUDA_BUCKETS._value.get() == 8
    slot.replace(Model(bundle(), OnnxScorer(bundle(), "cpu", 1)))
    assert metrics.CUDA_BUCKETS._value.get() == 0


def test_a_scorer_on_a_gpu_says_so_and_its_model_is_counted_in_all_eight_shapes() -> None:
    if not on_a_gpu():
        pytest.skip("there is no GPU here, or onnxruntime-gpu is not installed")
    scorer = OnnxScorer(bundle(), "cuda", 1, may_fall_back=False)
    assert (scorer.path, scorer.provider, scorer.fell_back) == ("bound", CUDA, False)
    ModelSlot(Model(bundle(), scorer))
    assert metrics.CUDA_GRAPHS._value.get() == metrics.CUDA_BUCKETS._value.get() == 8
