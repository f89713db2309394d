"""What every retriever promises: the exact product and the index over clusters."""

from pathlib import Path

import numpy as np
import pytest
from made_up_vectors import made_up_queries, made_up_table

from endcap.serving.retrieval import (
    ApproximateRetriever,
    ExactRetriever,
    ItemTable,
    Retriever,
    open_table,
)
from endcap.serving.retrieval.index_folder import build_index

ITEMS = 9_001
K = 100


@pytest.fixture(scope="module", params=[np.float32, np.float16], ids=["float32", "float16"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ItemTable:
    path = tmp_path_factory.mktemp("table") / "items.npy"
    np.save(path, made_up_table(ITEMS).astype(request.param))
    return open_table(path)


@pytest.fixture(scope="module", params=["exact", "index"])
def retriever(
    request: pytest.FixtureRequest, table: ItemTable, tmp_path_factory: pytest.TempPathFactory
) -> Retriever:
    if request.param == "exact":
        return ExactRetriever(table)
    pytest.importorskip("faiss")
    folder: Path = tmp_path_factory.mktemp("index")
    build_index(table, folder, made_up_queries(table, 64, seed=1), lambda *_: None)
    return ApproximateRetriever(table, folder)


def _exact(table: ItemTable, queries: np.ndarray) -> np.ndarray:
    products = queries @ table.vectors[1:].astype(np.float32).T
    return np.argsort(-products, axis=1, kind="stable")[:, :K] + 1


def test_nearly_all_of_the_exact_answer_is_found(retriever: Retriever, table: ItemTable) -> None:
    queries = made_up_queries(table, 200, seed=2)
    found, exact = retriever.find(queries, K).ids, _exact(table, queries)
    shared = [np.intersect1d(a, b).size for a, b in zip(found, exact, strict=True)]
    assert np.mean(shared) / K > 0.95


def test_the_best_item_comes_first_with_its_exact_product(
    retriever: Retriever, table: ItemTable
) -> None:
    queries = made_up_queries(table, 33, seed=3)
    found = retriever.find(queries, K)
    assert found.ids.shape == found.scores.shape == (33, K)
    assert (np.diff(found.scores, axis=1) <= 0).all()
    products = np.einsum("bkd,bd->bk", table.rows(found.ids), queries)
    np.testing.assert_allclose(found.scores, products, atol=1e-5)
    best = found.ids[:, 0] == _exact(table, queries)[:, 0]
    assert best.mean() > 0.95


def test_padding_is_never_found_and_no_item_twice(retriever: Retriever, table: ItemTable) -> None:
    away_from_all = -made_up_queries(table, 40, seed=4)
    for queries in (made_up_queries(table, 40, seed=4), away_from_all):
        ids = retriever.find(queries, K).ids
        assert ids.min() >= 1
        assert ids.max() <= ITEMS
        assert all(np.unique(row).size == K for row in ids)


def test_an_item_finds_itself(retriever: Retriever, table: ItemTable) -> None:
    ids = np.array([1, 2, 4_000, ITEMS - 1, ITEMS])
    assert retriever.find(table.rows(ids), 1).ids[:, 0].tolist() == ids.tolist()


def test_a_query_is_answered_alone_as_in_a_batch(retriever: Retriever, table: ItemTable) -> None:
    queries = made_up_queries(table, 8, seed=5)
    together = retriever.find(queries, 20)
    for row, query in enumerate(queries):
        alone = retriever.find(query[None], 20)
        np.testing.assert_allclose(alone.scores[0], together.scores[row], atol=1e-5)


def test_no_queries_are_no_answers(retriever: Retriever) -> None:
    found = retriever.find(np.zeros((0, 64), dtype=np.float32), 7)
    assert found.ids.shape == found.scores.shape == (0, 7)


def test_what_cannot_be_answered_is_refused(retriever: Retriever) -> None:
    assert retriever.items == ITEMS
    one = np.zeros((1, 64), dtype=np.float32)
    for queries, k in ((one, 0), (one, ITEMS + 1), (one[:, :-1], 5)):
        with pytest.raises(ValueError, match=r"asked for|dimensions"):
            retriever.find(queries, k)
