"""Build the flat candidate indexes of a bundle from purchase lines."""

import numpy as np
import polars as pl

from endcap.bundle import CandidateIndex, FloatArray, IntArray

NEIGHBOURS = 20
N_POPULAR = 100
POPULAR_DAYS = 28
_SHRINK = 10.0
"""Pairs seen a few times are luck: their cosine is multiplied by n / (n + 10)."""
_LARGEST_BASKET = 60


def build_candidate_index(
    indexed: pl.DataFrame, item_vectors: FloatArray, until_ms: int
) -> CandidateIndex:
    """Indexes from the lines before `until_ms`.

    `indexed` has basket_id, index (1..V) and timestamp_ms; `item_vectors` [V+1, d] normalised.
    """
    before = indexed.filter(pl.col("timestamp_ms") < until_ms)
    n_items = item_vectors.shape[0] - 1
    popular, popularity = _popular(before, n_items, until_ms)
    bought_with, bought_with_score = _bought_with(before, n_items)
    nearest, nearest_score = _nearest(item_vectors)
    return CandidateIndex(
        popular, popularity, bought_with, bought_with_score, nearest, nearest_score
    )


def _popular(before: pl.DataFrame, n_items: int, until_ms: int) -> tuple[IntArray, FloatArray]:
    window = before.filter(pl.col("timestamp_ms") >= until_ms - POPULAR_DAYS * 86_400_000)
    counts = np.bincount(window["index"].to_numpy(), minlength=n_items + 1).astype(np.float32)
    counts[0] = 0
    popular = np.argsort(-counts, kind="stable")[:N_POPULAR].astype(np.int32)
    return popular, counts / max(1.0, float(counts.sum()))


def _bought_with(before: pl.DataFrame, n_items: int) -> tuple[IntArray, FloatArray]:
    """Cosine of co-occurrence in baskets, shrunk, the best per item."""
    sized = before.filter(pl.len().over("basket_id") <= _LARGEST_BASKET).select(
        pl.col("basket_id").rank("dense").cast(pl.UInt32).alias("basket"),
        pl.col("index").cast(pl.UInt16),
    )
    alone = np.bincount(sized["index"].to_numpy(), minlength=n_items + 1).astype(np.float64)
    pairs = (
        sized.join(sized, on="basket", suffix="_with")
        .filter(pl.col("index") != pl.col("index_with"))
        .group_by("index", "index_with")
        .len()
        .filter(pl.col("len") >= 3)
    )
    item = pairs["index"].to_numpy().astype(np.int64)
    other = pairs["index_with"].to_numpy().astype(np.int64)
    together = pairs["len"].to_numpy().astype(np.float64)
    score = together / np.sqrt(alone[item] * alone[other]) * together / (together + _SHRINK)
    return _best_rows(item, other, score, n_items)


def _nearest(vectors: FloatArray) -> tuple[IntArray, FloatArray]:
    n_rows = vectors.shape[0]
    ids = np.zeros((n_rows, NEIGHBOURS), dtype=np.int32)
    scores = np.zeros((n_rows, NEIGHBOURS), dtype=np.float32)
    for start in range(1, n_rows, 1024):
        block = slice(start, min(start + 1024, n_rows))
        similarity = vectors[block] @ vectors.T
        similarity[:, 0] = -1.0
        rows = np.arange(similarity.shape[0])
        similarity[rows, rows + start] = -1.0
        top = np.argpartition(-similarity, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        ids[block] = top
        scores[block] = np.take_along_axis(similarity, top, axis=1)
    return ids, scores


def _best_rows(
    item: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    other: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    score: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    n_items: int,
) -> tuple[IntArray, FloatArray]:
    order = np.lexsort((other, -score, item))
    item, other, score = item[order], other[order], score[order]
    starts = np.searchsorted(item, item)
    rank = np.arange(item.size) - starts
    keep = rank < NEIGHBOURS
    ids = np.zeros((n_items + 1, NEIGHBOURS), dtype=np.int32)
    scores = np.zeros((n_items + 1, NEIGHBOURS), dtype=np.float32)
    ids[item[keep], rank[keep]] = other[keep]
    scores[item[keep], rank[keep]] = score[keep]
    return ids, scores
