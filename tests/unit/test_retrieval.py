"""Tables and indexes on disk: mapped, resumed, refused; and which retriever a table gets."""

import builtins
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_vectors import made_up_queries, made_up_table

from endcap.errors import DataError, RuntimeConflictError
from endcap.serving import metrics
from endcap.serving.retrieval import (
    ApproximateRetriever,
    ExactRetriever,
    ItemTable,
    open_retriever,
    open_table,
)
from endcap.serving.retrieval.index_folder import build_index, index_folder
from endcap.serving.retrieval.scan import scan

ITEMS = 6_000


def silent(what: str, done: int, of: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def table(tmp_path: Path) -> ItemTable:
    np.save(tmp_path / "items.npy", made_up_table(ITEMS))
    return open_table(tmp_path / "items.npy")


@pytest.fixture
def folder(table: ItemTable, tmp_path: Path) -> Path:
    pytest.importorskip("faiss")
    build_index(table, tmp_path / "index", made_up_queries(table, 32, seed=1), silent)
    return tmp_path / "index"


def test_a_mapped_table_is_answered_as_one_in_memory(table: ItemTable, folder: Path) -> None:
    assert isinstance(table.vectors, np.memmap)
    in_memory = ItemTable(np.array(table.vectors))
    queries = made_up_queries(table, 20, seed=2)
    exact, index = ExactRetriever(table), ApproximateRetriever(table, folder)
    for one, other in (
        (exact, ExactRetriever(in_memory)),
        (index, ApproximateRetriever(in_memory, folder)),
    ):
        np.testing.assert_array_equal(one.find(queries, 50).ids, other.find(queries, 50).ids)


def test_a_scan_of_the_mapped_table_is_the_exact_answer(table: ItemTable) -> None:
    queries = made_up_queries(table, 20, seed=2)
    found, exact = scan(table, queries, 50, silent), ExactRetriever(table).find(queries, 50)
    np.testing.assert_array_equal(found.ids, exact.ids)
    np.testing.assert_allclose(found.scores, exact.scores, atol=1e-6)


def test_recall_is_measured_when_an_index_is_opened(table: ItemTable, folder: Path) -> None:
    metrics.RETRIEVAL_RECALL.set(0)
    opened_index = ApproximateRetriever(table, folder)
    assert opened_index.recall >= 0.98
    assert metrics.RETRIEVAL_RECALL.collect()[0].samples[0].value == opened_index.recall


def test_more_items_than_the_lists_hold_are_found_in_all_lists(
    table: ItemTable, folder: Path
) -> None:
    found = ApproximateRetriever(table, folder).find(made_up_queries(table, 3, seed=3), ITEMS)
    assert all(np.unique(row).size == ITEMS for row in found.ids)
    assert found.ids.min() == 1


@pytest.mark.parametrize("name", ["centres.npy", "index.faiss", "sample.npz"])
@pytest.mark.parametrize("damage", ["changed", "cut short", "missing"])
def test_a_damaged_index_is_refused_with_what_to_do(
    table: ItemTable, folder: Path, name: str, damage: str
) -> None:
    raw = (folder / name).read_bytes()
    if damage == "missing":
        (folder / name).unlink()
    else:
        spoilt = raw[:-9] if damage == "cut short" else raw[:-9] + b"!" + raw[-8:]
        (folder / name).write_bytes(spoilt)
    with pytest.raises(DataError, match=r"Remove .* built anew"):
        ApproximateRetriever(table, folder)


def test_an_index_of_another_table_is_refused(table: ItemTable, folder: Path) -> None:
    shorter = ItemTable(np.array(table.vectors[:-1]))
    trained_anew = ItemTable(np.array(table.vectors) * np.float32(0.5))
    for other in (shorter, trained_anew):
        with pytest.raises(DataError, match="another table"):
            ApproximateRetriever(other, folder)


def test_a_table_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.npy"
    np.save(path, made_up_table(500))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match="cut short"):
        open_table(path)
    np.save(path, np.zeros((5, 4), dtype=np.float64))
    with pytest.raises(DataError, match="float32 or float16"):
        open_table(path)
    with pytest.raises(DataError, match="No such file"):
        open_table(tmp_path / "none.npy")


def test_a_build_that_was_cut_off_goes_on_where_it_was(table: ItemTable, tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    queries = made_up_queries(table, 32, seed=1)

    def cut_off(what: str, done: int, of: int) -> None:
        if what == "Writing codes":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(table, tmp_path / "index", queries, cut_off)
    with pytest.raises(DataError, match="cannot be read"):
        ApproximateRetriever(table, tmp_path / "index")
    seen: set[str] = set()
    build_index(table, tmp_path / "index", queries, lambda what, done, of: seen.add(what))
    assert "Finding clusters" not in seen
    assert ApproximateRetriever(table, tmp_path / "index").recall >= 0.98


def test_small_tables_are_multiplied_and_large_ones_indexed_once(
    table: ItemTable, tmp_path: Path
) -> None:
    pytest.importorskip("faiss")
    queries = made_up_queries(table, 32, seed=1)
    assert isinstance(open_retriever(table, tmp_path, queries, silent), ExactRetriever)
    assert not index_folder(tmp_path, table).exists()
    at_most = ITEMS - 1
    by_index = open_retriever(table, tmp_path, queries, silent, exact_up_to=at_most)
    assert isinstance(by_index, ApproximateRetriever)
    seen: set[str] = set()
    open_retriever(
        table, tmp_path, queries, lambda what, done, of: seen.add(what), exact_up_to=at_most
    )
    assert not seen


def test_without_faiss_a_large_table_says_what_to_install(
    table: ItemTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def without_faiss(name: str, *args: Any, **more: Any) -> Any:
        if name == "faiss":
            raise ModuleNotFoundError(name)
        return imported(name, *args, **more)

    monkeypatch.delitem(sys.modules, "faiss", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_faiss)
    with pytest.raises(RuntimeConflictError, match=r"\.\[retrieval\]"):
        open_retriever(
            table, tmp_path, made_up_queries(table, 8, seed=1), silent, exact_up_to=ITEMS - 1
        )
