"""Slates against what was really bought: the model beside its baselines on the same baskets."""

from collections.abc import Callable, Sequence

import numpy as np

from endcap.batches import make_batch
from endcap.bundle import CandidateIndex, FloatArray
from endcap.candidates import FEATURES
from endcap.export.examples import Example
from endcap.export.training import Progress

K = 10
Ranker = Callable[[Sequence[Example]], list[list[int]]]
"""Examples to slates of at most K item indexes each, best first."""


def evaluate(
    held_out: Sequence[Example],
    item_ids: Sequence[str],
    rankers: dict[str, Ranker],
    progress: Progress,
) -> dict[str, dict[str, float]]:
    """HR@10, NDCG@10, precision, recall and F1 at 10 of each ranker, averaged over baskets.

    A hit is any bought item on the slate; items outside the vocabulary stay in recall's
    denominator, for a shopper who wanted one was not served.
    """
    results: dict[str, dict[str, float]] = {}
    for name, ranker in rankers.items():
        slates: list[list[int]] = []
        for start in range(0, len(held_out), 256):
            slates += ranker(held_out[start : start + 256])
            progress.advance(f"Evaluating {name}", len(slates), len(held_out))
        rows = [
            _measures([item_ids[i - 1] for i in slate], example.bought)
            for slate, example in zip(slates, held_out, strict=True)
        ]
        hit, ndcg, precision, recall = np.mean(np.array(rows), axis=0)
        results[name] = {
            "hr_at_10": round(float(hit), 4),
            "ndcg_at_10": round(float(ndcg), 4),
            "precision_at_10": round(float(precision), 4),
            "recall_at_10": round(float(recall), 4),
            "f1_at_10": round(float(2 * precision * recall / max(precision + recall, 1e-9)), 4),
        }
    return results


def _measures(slate: Sequence[str], bought: frozenset[str]) -> tuple[float, float, float, float]:
    gains = [1.0 if item in bought else 0.0 for item in slate]
    discounts = 1.0 / np.log2(np.arange(2, K + 2))
    ideal = float(discounts[: min(K, len(bought))].sum())
    ndcg = float(np.dot(gains, discounts[: len(gains)])) / ideal if ideal else 0.0
    hits = sum(gains)
    return float(hits > 0), ndcg, hits / K, hits / max(1, len(bought))


def popularity_ranker(index: CandidateIndex) -> Ranker:
    """The most bought items of the last four weeks, the same for everybody."""
    top = index.popular[:K].tolist()
    return lambda rows: [list(top) for _ in rows]


def feature_ranker(index: CandidateIndex, weights: dict[str, float]) -> Ranker:
    """A fixed weighted sum of candidate features; ties and gaps fall to popularity."""
    vector = np.array([weights.get(name, 0.0) for name in FEATURES], dtype=np.float32)
    vector[FEATURES.index("popularity")] += 1e-4

    def rank(rows: Sequence[Example]) -> list[list[int]]:
        return [_top(e.candidates.features @ vector, e) for e in rows]

    return rank


def model_ranker(score: Callable[[object], FloatArray], max_length: int) -> Ranker:
    """The bundle's own graph over the gathered candidates; `score` takes a Batch."""

    def rank(rows: Sequence[Example]) -> list[list[int]]:
        batch = make_batch([e.shopper for e in rows], [e.candidates for e in rows], max_length)
        scores = score(batch)
        return [_top(scores[row, : e.candidates.ids.size], e) for row, e in enumerate(rows)]

    return rank


def _top(scores: FloatArray, example: Example) -> list[int]:
    order = np.argsort(-scores, kind="stable")
    ids = [int(i) for i in example.candidates.ids[order] if int(i) not in example.in_cart]
    return ids[:K]
