"""The exact answer for tables of any size, tile by tile: what an index is judged by."""

import numpy as np

from endcap.arrays import FloatArray, LongArray
from endcap.serving.retrieval.clusters import Progress
from endcap.serving.retrieval.exact import ExactRetriever
from endcap.serving.retrieval.retriever import Found, by_score, check_question
from endcap.serving.retrieval.table import ItemTable

_TILE = 1 << 18


def scan(table: ItemTable, queries: FloatArray, k: int, progress: Progress) -> Found:
    """The nearest items of a table that stays on disk, a tile of it in memory at a time.

    Raises:
        ValueError: k is below 1 or above V, or the queries have another d.
    """
    check_question(queries, k, table.items, table.dim)
    ids = np.zeros((len(queries), 0), dtype=np.int64)
    scores = np.zeros((len(queries), 0), dtype=np.float32)
    padding = np.zeros((1, table.dim), dtype=np.float32)
    for first, tile in table.tiles(_TILE):
        part = ExactRetriever(ItemTable(np.concatenate([padding, tile])))
        found = part.find(queries, min(k, len(tile)))
        ids, scores = by_score(
            np.concatenate([ids, found.ids + first - 1], axis=1),
            np.concatenate([scores, found.scores], axis=1),
            k,
        )
        progress("Finding exact answers", min(first - 1 + _TILE, table.items), table.items)
    return Found(ids, scores)


def recall(found: LongArray, exact: LongArray) -> float:
    """The share of the exact ids [B, k] that were found, whatever their order."""
    shared = [np.intersect1d(a, b).size for a, b in zip(found, exact, strict=True)]
    return sum(shared) / exact.size
