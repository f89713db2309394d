"""The stages, the compiled path of them and the plain one give the same scores."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from endcap import deploy
from endcap.arrays import FloatArray
from endcap.bundle import Bundle, load_bundle
from endcap.candidates import Crowd, Gathered
from endcap.candidates.features import facts_of
from endcap.deploy.bench.session_lengths import cut_to, drawn_lengths
from endcap.deploy.replay import load_shop, purchase_sessions
from endcap.scoring import Scored
from endcap.scoring.aligned import on_lines
from endcap.scoring.catalogue import Added, look, nearest
from endcap.scoring.staged import IS_BUILT
from endcap.serving.onnx_session import OnnxScorer
from endcap.sessions import Session

COMMITTED = Path(deploy.__file__).parent / "bundles" / "completejourney"
BATCH = 50


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(COMMITTED)


@pytest.fixture(scope="module")
def shoppers() -> list[Session]:
    return purchase_sessions(load_shop().history)


@pytest.fixture(scope="module")
def ten_thousand(shoppers: list[Session]) -> list[Session]:
    """Real shoppers four times: with all that they did, and with the newest of it alone, as many
    events as sessions of a real clickstream hold."""
    lengths = drawn_lengths(10_000 - len(shoppers))
    cut = [cut_to(shoppers[at % len(shoppers)], int(n)) for at, n in enumerate(lengths)]
    return [*shoppers, *cut]


def in_batches(sessions: Sequence[Session]) -> Iterator[Sequence[Session]]:
    """Long and short ones together."""
    order = np.random.default_rng(0).permutation(len(sessions))
    for start in range(0, order.size, BATCH):
        yield [sessions[at] for at in order[start : start + BATCH].tolist()]


def best(scored: Scored, row: int) -> list[int]:
    own = scored.row(row)
    order = np.argsort(-own.scores, kind="stable")[:20]
    return own.ids[order].tolist()


def assert_the_same(ours: Scored, theirs: Scored) -> None:
    """The same items with the same scores to 1e-4, and the same first 20 in the same order, but
    for neighbours that are closer to each other than that."""
    for row in range(ours.offsets.size - 1):
        found, expected = ours.row(row), theirs.row(row)
        _, mine, its = np.intersect1d(found.ids, expected.ids, return_indices=True)
        np.testing.assert_allclose(found.scores[mine], expected.scores[its], rtol=0, atol=1e-4)
        score_of = dict(zip(expected.ids.tolist(), expected.scores.tolist(), strict=True))
        for one, other in zip(best(ours, row), best(theirs, row), strict=True):
            assert one == other or score_of[one] == pytest.approx(score_of[other], abs=1e-4)


def test_ten_thousand_real_sessions_have_the_scores_of_the_plain_graph(
    bundle: Bundle, ten_thousand: list[Session]
) -> None:
    staged = OnnxScorer(bundle, threads=1)
    plain = OnnxScorer(bundle._replace(stages=None), threads=1)
    assert (staged.path, plain.path) == ("staged", "whole")
    asked = 0
    for sessions in in_batches(ten_thousand):
        crowd = bundle.crowd(sessions)
        gathered = bundle.gatherer.gather(crowd)
        assert_the_same(staged.score(crowd, gathered), plain.score(crowd, gathered))
        asked += crowd.size
    assert asked == 10_000


def some_asked(
    bundle: Bundle, shoppers: list[Session], seed: int, rows: int
) -> tuple[FloatArray, FloatArray, Crowd]:
    """Queries near to items, one to none at all, and somebody who is known by nothing."""
    rng = np.random.default_rng(seed)
    assert bundle.stages is not None
    table = of_length_one(bundle.stages.table)
    near = table[rng.integers(1, table.shape[0], rows)]
    queries = of_length_one(near + rng.normal(0, 0.1, near.shape).astype(np.float32))
    queries[0] = 0
    crowd = bundle.crowd([Session("nobody"), *shoppers[: rows - 1]])
    return queries, table, crowd


def of_length_one(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / lengths.clip(1e-12)).astype(np.float32)


@pytest.mark.skipif(not IS_BUILT, reason="the compiled path is not built here")
@pytest.mark.parametrize(("own", "temperature"), [(1, 20.0), (100, 5.0), (100, 90.0), (5000, 20.0)])
def test_the_compiled_look_at_the_catalogue_is_the_plain_one(
    bundle: Bundle, shoppers: list[Session], own: int, temperature: float
) -> None:
    from endcap.scoring.native_catalogue import NativeCatalogue

    queries, table, crowd = some_asked(bundle, shoppers, own, 40)
    gathered, facts = bundle.gatherer.gather(crowd), facts_of(bundle.generators)
    native = NativeCatalogue(table, facts)
    for rows in (slice(0, 40), slice(3, 4), slice(1, 20)):
        part, context = Gathered(*_rows(gathered, rows)), crowd.context[rows]
        plain = part._replace(told=part.told.copy())
        expected = look(nearest(queries[rows], table), temperature, own, plain, facts, context)
        found = Added(*native.look(queries[rows], temperature, own, part, context))
        np.testing.assert_allclose(part.told, plain.told, atol=3e-5)
        np.testing.assert_array_equal(found.offsets, expected.offsets)
        for start, end in pairwise(found.offsets.tolist()):
            # Two that are as near as rounding tells apart may have changed places.
            ours, theirs = (np.argsort(each.ids[start:end]) + start for each in (found, expected))
            np.testing.assert_array_equal(found.ids[ours], expected.ids[theirs])
            np.testing.assert_allclose(found.told[ours], expected.told[theirs], atol=3e-5)


def _rows(gathered: Gathered, rows: slice) -> Iterator[npt.NDArray[np.generic]]:
    first, last = gathered.offsets[rows.start], gathered.offsets[rows.stop]
    for each in gathered[:4]:
        yield each[first:last]
    yield gathered.offsets[rows.start : rows.stop + 1] - first


@pytest.mark.skipif(not IS_BUILT, reason="the compiled path is not built here")
def test_a_catalogue_smaller_than_what_is_added_is_added_whole() -> None:
    from endcap.scoring.native_catalogue import NativeCatalogue

    rng = np.random.default_rng(1)
    table = rng.normal(size=(8, 4)).astype(np.float32)
    table[0] = 0
    table[1:] /= np.linalg.norm(table[1:], axis=1, keepdims=True)
    nobody = Gathered(
        np.empty(0, np.int32), np.empty((0, 43), np.float32), np.empty(0, np.int32),
        np.empty(0, np.int32), np.zeros(3, np.int64),
    )  # fmt: skip
    facts, context = np.zeros((8, 2), np.float32), np.zeros((2, 8), np.float32)
    # Away from every item, so that padding would be nearer.
    queries = -table[[1, 2]]
    found = Added(*NativeCatalogue(table, facts).look(queries, 5.0, 100, nobody, context))
    assert [sorted(found.ids[at : at + 7].tolist()) for at in (0, 7)] == [list(range(1, 8))] * 2
    expected = look(nearest(queries, table), 5.0, 100, nobody, facts, context)
    ours, theirs = (np.lexsort((each.ids, [0] * 7 + [1] * 7)) for each in (found, expected))
    np.testing.assert_allclose(found.told[ours], expected.told[theirs], atol=1e-5)


@pytest.mark.skipif(not IS_BUILT, reason="the compiled path is not built here")
def test_a_model_that_gives_no_numbers_gives_no_scores(
    bundle: Bundle, shoppers: list[Session]
) -> None:
    from endcap.scoring.native_catalogue import NativeCatalogue

    queries, table, crowd = some_asked(bundle, shoppers, 7, 5)
    queries[3] = np.nan
    native = NativeCatalogue(table, facts_of(bundle.generators))
    gathered = bundle.gatherer.gather(crowd)
    found = Added(*native.look(queries, 20.0, 100, gathered, crowd.context))
    of_candidates = np.repeat(np.arange(5), np.diff(gathered.offsets))
    of_added = np.repeat(np.arange(5), np.diff(found.offsets))
    for told, rows in ((gathered.told, of_candidates), (found.told, of_added)):
        assert np.isfinite(told[rows != 3]).all()
        assert np.isnan(told[rows == 3, 1]).any()


def test_without_the_compiled_path_the_scores_are_the_same(
    bundle: Bundle, ten_thousand: list[Session]
) -> None:
    plain = load_bundle(COMMITTED, natively=False)
    crowd = bundle.crowd(ten_thousand[::500])
    scored = (
        OnnxScorer(b, threads=1).score(crowd, b.gatherer.gather(crowd)) for b in (bundle, plain)
    )
    ours, theirs = scored
    assert_the_same(ours, theirs)


def test_what_compiled_code_reads_begins_with_a_cache_line() -> None:
    for size in range(1, 40):
        array = np.arange(2.0 * size).reshape(2, size)
        held = on_lines(array)
        assert held.ctypes.data % 64 == 0
        np.testing.assert_array_equal(held, array)
