"""What every retriever promises; tests/contracts/test_retrievers.py holds each one to it."""

from typing import NamedTuple, Protocol

import numpy as np

from endcap.arrays import FloatArray, LongArray


class Found(NamedTuple):
    """`ids` [B, k]: item indexes from 1, each once in its row; `scores` [B, k]: their exact inner
    products with the query, the best first."""

    ids: LongArray
    scores: FloatArray


class Retriever(Protocol):
    """The nearest items of a table."""

    @property
    def items(self) -> int:
        """V; item indexes run from 1 to V."""
        ...

    def find(self, queries: FloatArray, k: int) -> Found:
        """The `k` items with the largest inner products, for each of the queries [B, d].

        Index 0 is padding and never among them.

        Raises:
            ValueError: k is below 1 or above V, or the queries have another d.
        """
        ...


def check_question(queries: FloatArray, k: int, items: int, dim: int) -> None:
    """Refuse what no retriever of this table can answer.

    Raises:
        ValueError: k is below 1 or above V, or the queries have another d.
    """
    if queries.ndim != 2 or queries.shape[1] != dim:
        raise ValueError(f"queries of shape {queries.shape} for a table of {dim} dimensions")
    if not 1 <= k <= items:
        raise ValueError(f"{k} items were asked for; this table has {items}")


def by_score(ids: LongArray, scores: FloatArray, k: int) -> Found:
    """The best `k` of a few candidates [B, C], the best first."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return Found(np.take_along_axis(ids, order, 1), np.take_along_axis(scores, order, 1))
