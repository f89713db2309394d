"""More than accuracy: what slates do to the catalogue, and what shoppers see of it.

Popularity is that of training: counts of the events that a ranker may learn from. A target that
training never saw has popularity 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from endcap.arrays import FloatArray, IntArray
from endcap.catalogue import CatalogueItem
from endcap.export.data.interactions import Cases, Interactions, LongArray
from endcap.export.measures.accuracy import BoolArray, RealArray, is_among

POPULAR_SHARE = 0.1
"""The most popular tenth of the catalogue: the "short head" of Abdollahpouri et al. 2019."""
BANDS = 10
WIDTH = 64
_ROWS = 4096
"""Slates whose vectors are held at one time: 4096 x 20 x 64 floats are 21 MB."""


class Shop(NamedTuple):
    """What measures know of the V items, each array by item index, index 0 unused.

    `counts` [V + 1]: events in training. `shoppers` [V + 1]: sequences in training that hold the
    item, of `n_sequences`. `categories` [V + 1]: numbers from 1; 0 where the category is not known.
    `vectors` [V + 1, d]: of unit length; 0 where nothing is known. Near vectors: like items.
    """

    counts: LongArray
    shoppers: LongArray
    n_sequences: int
    categories: IntArray
    vectors: FloatArray

    @property
    def n_items(self) -> int:
        """V."""
        return self.counts.size - 1

    def popular(self) -> BoolArray:
        """Whether an item is among the most popular `POPULAR_SHARE` of the catalogue [V + 1]."""
        chosen = np.zeros(self.counts.size, dtype=np.bool_)
        order = np.argsort(-self.counts[1:], kind="stable") + 1
        chosen[order[: int(np.ceil(POPULAR_SHARE * self.n_items))]] = True
        return chosen


class Band(NamedTuple):
    """Items of like popularity, and their shares of training, of what was shown, of the targets."""

    n_items: int
    trained: float
    shown: float
    wanted: float


def shop_of(train: Interactions, items: Sequence[CatalogueItem]) -> Shop:
    """The shop as training knows it: nothing outside `train` enters. Item i is `items[i - 1]`."""
    n = len(items) + 1
    owners = np.repeat(np.arange(train.n_sequences), np.diff(train.offsets))
    known = train.items > 0
    pairs = np.unique(owners[known] * n + train.items[known])
    names = {name: i + 1 for i, name in enumerate(sorted({i.category for i in items} - {""}))}
    return Shop(
        np.bincount(train.items[known], minlength=n).astype(np.int64),
        np.bincount(pairs % n, minlength=n).astype(np.int64),
        train.n_sequences,
        np.array([0, *(names.get(item.category, 0) for item in items)], dtype=np.int32),
        _vectors(pairs // n, pairs % n, train.n_sequences, n),
    )


def beyond_accuracy(slates: IntArray, cases: Cases, shop: Shop) -> dict[str, float]:
    """Each measure by its key. All are between 0 and 1 but those with a unit here.

    - `coverage`: share of the catalogue that is on some slate.
    - `gini`: of the items' exposures; 0: all equally often shown, 1: one item alone.
    - `popularity_shown`, `popularity_wanted`: mean ln(1 + count) of what was shown, of the targets;
      `popularity_bias`: the first less the second (after Steck 2011).
    - `popular_shown`, `popular_wanted`: share of each in the most popular tenth of the catalogue.
    - `novelty`: mean self-information of what was shown, -log2 of the share of shoppers who have
      the item, in bits (Vargas & Castells 2011; one shopper is added, so that no share is 0).
    - `diversity`: mean distance of two items on a slate (Ziegler et al. 2005): 1 less the cosine
      of their vectors; `category_diversity`: share of the pairs of items with a category that
      differ in it, where the shop has categories.
    - `repeats_shown`, `repeats_wanted`: share of what was shown, of the targets, that the case's
      history already holds.
    - `empty_slates`: share of the cases with nothing shown; `filled`: share of places with an item.
    """
    shown = slates[slates > 0]
    exposure = np.bincount(shown, minlength=shop.counts.size)[1:]
    logs = np.log1p(shop.counts)
    popular = shop.popular()
    information = -np.log2((shop.shoppers + 1.0) / (shop.n_sequences + 1.0))
    repeats_shown, repeats_wanted = repeat_shares(slates, cases)
    found = {
        "coverage": float((exposure > 0).mean()) if exposure.size else 0.0,
        "gini": gini(exposure),
        "popularity_shown": _mean(logs[shown]),
        "popularity_wanted": _mean(logs[cases.targets]),
        "popularity_bias": _mean(logs[shown]) - _mean(logs[cases.targets]),
        "popular_shown": _mean(popular[shown]),
        "popular_wanted": _mean(popular[cases.targets]),
        "novelty": _mean(information[shown]),
        "diversity": vector_diversity(slates, shop.vectors),
        "repeats_shown": repeats_shown,
        "repeats_wanted": repeats_wanted,
        "empty_slates": _mean((slates == 0).all(axis=1)),
        "filled": _mean(slates > 0),
    }
    if shop.categories.any():
        found["category_diversity"] = category_diversity(slates, shop.categories)
    return found


def gini(exposure: LongArray) -> float:
    """Gini's coefficient of how often each item was shown [V]."""
    total, n = int(exposure.sum()), exposure.size
    if not total:
        return 0.0
    ranks = np.arange(1, n + 1)
    return float(2.0 * (ranks @ np.sort(exposure)) / (n * total) - (n + 1) / n)


def vector_diversity(slates: IntArray, vectors: FloatArray) -> float:
    """1 less the mean cosine of two items on a slate, over slates with two items or more.

    The pairs of k unit vectors have (|sum|^2 - k) / 2 as the sum of their cosines. An item without
    a vector is left out.
    """
    known = (vectors != 0).any(axis=1)
    distances: list[RealArray] = []
    for start in range(0, slates.shape[0], _ROWS):
        rows = slates[start : start + _ROWS]
        k = known[rows].sum(axis=1).astype(np.float64)
        total = (vectors[rows].sum(axis=1, dtype=np.float64) ** 2).sum(axis=1)
        enough = k > 1
        distances.append(1.0 - (total - k)[enough] / (k * (k - 1))[enough])
    return _mean(np.concatenate(distances)) if distances else 0.0


def category_diversity(slates: IntArray, categories: IntArray) -> float:
    """Share of the pairs of items on one slate, both of a known category, that differ in it."""
    named = categories[slates]
    pairs = differing = 0
    for gap in range(1, slates.shape[1]):
        one, other = named[:, gap:], named[:, :-gap]
        both = (one > 0) & (other > 0)
        pairs += int(both.sum())
        differing += int((both & (one != other)).sum())
    return differing / pairs if pairs else 0.0


def repeat_shares(slates: IntArray, cases: Cases) -> tuple[float, float]:
    """Share of what was shown, and of the targets, that the case's history already holds."""
    past = cases.interactions
    width = max(int(a.max(initial=0)) for a in (past.items, slates, cases.targets)) + 1
    owners = np.repeat(np.arange(past.n_sequences), np.diff(past.offsets))
    # Places rise within a sequence: the first of each pair is where the item came first.
    pairs, first = np.unique(owners * width + past.items, return_index=True)

    def are_held(rows: LongArray, items: IntArray) -> BoolArray:
        wanted = cases.sequences[rows].astype(np.int64) * width + items
        places = np.minimum(np.searchsorted(pairs, wanted), pairs.size - 1)
        held: BoolArray = (items > 0) & is_among(wanted, pairs) & (first[places] < cases.ends[rows])
        return held

    rows, columns = np.nonzero(slates)
    of_targets = np.repeat(np.arange(cases.size), np.diff(cases.target_offsets))
    if not pairs.size:
        return 0.0, 0.0
    return (
        _mean(are_held(rows, slates[rows, columns])),
        _mean(are_held(of_targets, cases.targets)),
    )


def popularity_bands(slates: IntArray, cases: Cases, shop: Shop) -> tuple[Band, ...]:
    """Items in `BANDS` of equal weight in training, the most popular first (the last: the tail).

    A calibrated ranker shows each band as often as shoppers want it (Steck 2018); one with a
    popularity bias shows the first bands more. Targets outside the catalogue count to no band.
    """
    order = np.argsort(-shop.counts[1:], kind="stable") + 1
    before = np.cumsum(shop.counts[order]) - shop.counts[order]
    band = np.zeros(shop.counts.size, dtype=np.int64)
    band[order] = np.minimum(BANDS * before // max(1, int(shop.counts.sum())), BANDS - 1) + 1

    def shares(weights: LongArray) -> RealArray:
        sums = np.bincount(band, weights=weights, minlength=BANDS + 1)[1:]
        return np.divide(sums, max(1, int(weights.sum())), dtype=np.float64)

    n = shop.counts.size
    shown = np.bincount(slates[slates > 0], minlength=n)
    wanted = np.bincount(cases.targets, minlength=n)
    sizes = np.bincount(band, minlength=BANDS + 1)[1:]
    rows = zip(sizes, shares(shop.counts), shares(shown), shares(wanted), strict=True)
    return tuple(Band(int(size), *map(float, rest)) for size, *rest in rows)


def _vectors(owners: LongArray, items: LongArray, n_sequences: int, n: int) -> FloatArray:
    """Items as sums of random signs, one for each shopper who has them [n, WIDTH], of unit length.

    Random indexing (Kanerva et al. 2000): the cosine of two such vectors is, on average, that of
    the two items' columns in the table of shoppers and items, without ever making that table. The
    seed is fixed: the same data give the same diversity.
    """
    random = np.random.default_rng(0)
    sums = []
    for _ in range(WIDTH):
        signs = random.choice(np.array([-1.0, 1.0]), size=n_sequences)
        sums.append(np.bincount(items, weights=signs[owners], minlength=n))
    vectors = np.stack(sums, axis=1)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: FloatArray = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit


def _mean(values: RealArray | BoolArray) -> float:
    return float(values.mean()) if values.size else 0.0
