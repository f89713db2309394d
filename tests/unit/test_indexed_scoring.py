"""A catalogue that is looked at by an index: nearly the lists of the exact look."""

from pathlib import Path

import numpy as np
import pytest

from endcap import deploy
from endcap.bundle import Bundle, load_bundle
from endcap.candidates.features import facts_of
from endcap.scoring.indexed import indexed, look_by_index
from endcap.serving.calibration import warm_up_sessions
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.stages import open_stages
from endcap.sessions import Session

COMMITTED = Path(deploy.__file__).parent / "bundles" / "completejourney"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(COMMITTED)


def shoppers(bundle: Bundle) -> list[Session]:
    return [Session("nobody"), *warm_up_sessions(bundle, 200)]


def test_the_index_gives_nearly_the_lists_of_the_whole_catalogue(
    bundle: Bundle, tmp_path: Path
) -> None:
    pytest.importorskip("faiss", reason="faiss is not installed: pip install 'endcap[retrieval]'")
    assert bundle.stages is not None
    exact = OnnxScorer(bundle, threads=1)
    by_index = open_stages(bundle, bundle.stages, 1, tmp_path, exact_up_to=1000)
    crowd = bundle.crowd(shoppers(bundle))
    shared = []
    theirs = exact.score(crowd, bundle.gatherer.gather(crowd))
    ours = by_index.score(crowd, bundle.gatherer.gather(crowd))
    for row in range(crowd.size):
        first = [
            each.ids[np.argsort(-each.scores, kind="stable")[:20]]
            for each in (ours.row(row), theirs.row(row))
        ]
        shared.append(np.isin(*first).mean())
    assert np.mean(shared) > 0.97
    assert any(tmp_path.iterdir())


def test_where_the_nearest_are_all_found_only_the_sum_is_an_estimate(bundle: Bundle) -> None:
    assert bundle.stages is not None
    raw, facts = bundle.stages.table, facts_of(bundle.generators)
    table = raw / np.linalg.norm(raw, axis=1, keepdims=True).clip(1e-12)
    crowd = bundle.crowd(shoppers(bundle))
    staged = open_stages(bundle, bundle.stages, 1)
    exact = bundle.gatherer.gather(crowd)
    scored = staged.score(crowd, exact)  # fills in what the model says of the candidates

    def find(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        cosines = queries @ table.T
        cosines[:, 0] = -2
        ids = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        return ids, np.take_along_axis(cosines, ids, 1)

    gathered = bundle.gatherer.gather(crowd)
    queries = staged.queries(crowd)
    temperature, own = bundle.stages.temperature, bundle.stages.own
    added = look_by_index(indexed(find, table), queries, temperature, own, gathered, facts, crowd)
    np.testing.assert_allclose(gathered.told[:, 1], exact.told[:, 1], atol=1e-5)
    np.testing.assert_allclose(gathered.told[:, 0], exact.told[:, 0], atol=0.1)
    for row in range(crowd.size):
        ours = set(added.ids[added.offsets[row] : added.offsets[row + 1]].tolist())
        candidates = set(gathered.ids[gathered.offsets[row] : gathered.offsets[row + 1]].tolist())
        assert not ours & candidates
        assert ours | candidates == set(scored.row(row).ids.tolist())


def test_without_a_folder_for_it_there_is_no_index(
    bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    assert bundle.stages is not None
    staged = open_stages(bundle, bundle.stages, 1, exact_up_to=1000)
    assert "no folder was given for an index" in caplog.text
    crowd = bundle.crowd(shoppers(bundle)[:5])
    gathered = bundle.gatherer.gather(crowd)
    expected = OnnxScorer(bundle, threads=1).score(crowd, bundle.gatherer.gather(crowd))
    np.testing.assert_allclose(staged.score(crowd, gathered).scores, expected.scores, atol=1e-4)
