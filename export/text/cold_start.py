"""How well are items found that no event has named? Hide some, place them by text, and ask."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray, IntArray
from endcap.catalogue import CatalogueItem
from endcap.export.data.interactions import Cases, Interactions, Split
from endcap.export.data.slates import SLATE
from endcap.export.text.cold_items import place_cold_items, popularity_of_like
from endcap.export.text.hidden_items import hide_items

_BLOCK = 512
_NOBODY: FloatArray = np.ones((1, 1), dtype=np.float32)


class Space(Protocol):
    """Items and shoppers that a model has put into one space: a score is a product of two."""

    @property
    def items(self) -> FloatArray:
        """Item vectors [V+1, d]."""
        ...

    def shoppers(self, cases: Cases) -> FloatArray:
        """A vector for each question [n, d]."""
        ...


Learn = Callable[[Interactions, int, int], Space]
"""From events, the number of items and a seed."""


class _HitRates(NamedTuple):
    """HR@20 among the hidden items alone, and among all items."""

    hidden: float
    everything: float


def cold_start(
    split: Split,
    items: Sequence[CatalogueItem],
    text_vectors: FloatArray,
    learn: Learn,
    share: float = 0.1,
    seeds: Sequence[int] = (0, 1, 2),
) -> dict[str, dict[str, float]]:
    """HR@20 of the questions whose answer is hidden; means over `seeds`, and `..._std`.

    For each seed:

    1. Hide a `share` of the known items; take all their events away from what is learned from and
       from the histories.
    2. Learn a space from the rest; give the hidden ones their places in it by text and price.
    3. Rank the hidden items, then all items.

    Beside it `random`, the expected value; `like_popular`: by how often items like it are bought,
    the same for every shopper; and two that know what nobody could: `counted_popular`, by the
    counts that were hidden, and `known`, the same questions to a space that all events taught.
    Popularity as it was counted says nothing of a hidden item: among these it is `random`, among
    all items 0.
    """
    rows: dict[str, list[_HitRates]] = {}
    for seed in seeds:
        shop = hide_items(split.known, split.test, share, seed)
        counts, all_counts = (_counts(events, len(items)) for events in (shop.known, split.known))
        is_known = counts > 0
        space = learn(shop.known, len(items), seed)
        placed = place_cold_items(items, text_vectors, space.items, is_known)
        like = popularity_of_like(items, text_vectors, counts, is_known)
        taught = learn(split.known, len(items), seed)
        chance = np.random.default_rng(seed)
        for name, vectors, shoppers in (
            ("by_text", placed, space.shoppers(shop.cases)),
            ("like_popular", like[:, None], _NOBODY),
            ("counted_popular", all_counts[:, None], _NOBODY),
            ("known", taught.items, taught.shoppers(shop.cases)),
        ):
            found = _hit_rates(shop.cases, shoppers, vectors, shop.hidden, chance)
            rows.setdefault(name, []).append(found)
        expected = (_by_chance(shop.cases, ranked) for ranked in (shop.hidden.size, len(items)))
        rows.setdefault("random", []).append(_HitRates(*expected))
    return {name: _summary(found) for name, found in rows.items()}


def _hit_rates(
    cases: Cases,
    shoppers: FloatArray,
    vectors: FloatArray,
    hidden: IntArray,
    chance: np.random.Generator,
) -> _HitRates:
    every = np.arange(1, vectors.shape[0], dtype=np.int32)
    # In random order: among equal scores chance decides, and not the catalogue's order, which may
    # be that of sales.
    hidden, every = chance.permutation(hidden), chance.permutation(every)
    return _HitRates(
        _hit_rate(cases, shoppers, vectors, hidden), _hit_rate(cases, shoppers, vectors, every)
    )


def _hit_rate(cases: Cases, shoppers: FloatArray, vectors: FloatArray, ranked: IntArray) -> float:
    """`shoppers` [n, d], or [1, d] where the slate is the same for all."""
    count = min(SLATE, ranked.size)
    slates = np.zeros((shoppers.shape[0], count), dtype=np.int32)
    for start in range(0, shoppers.shape[0], _BLOCK):
        scores = shoppers[start : start + _BLOCK] @ vectors[ranked].T
        best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
        slates[start : start + _BLOCK] = ranked[best]
    of_case = np.repeat(np.arange(cases.size), np.diff(cases.target_offsets))
    shown = slates[of_case] if slates.shape[0] > 1 else slates
    hits = np.zeros(cases.size, dtype=np.bool_)
    hits[of_case[(shown == cases.targets[:, None]).any(axis=1)]] = True
    return float(hits.mean())


def _by_chance(cases: Cases, ranked: int) -> float:
    """The expected HR@20 of random slates: no answer among 20 drawn without putting back."""
    answers = np.diff(cases.target_offsets)
    drawn = np.arange(min(SLATE, ranked))
    missed = ((ranked - answers[:, None] - drawn) / (ranked - drawn)).clip(0.0).prod(axis=1)
    return float(1 - missed.mean())


def _summary(found: Sequence[_HitRates]) -> dict[str, float]:
    hidden = [each.hidden for each in found]
    everything = [each.everything for each in found]
    return {
        "hr_at_20_hidden": round(float(np.mean(hidden)), 4),
        "hr_at_20_hidden_std": round(float(np.std(hidden)), 4),
        "hr_at_20_all": round(float(np.mean(everything)), 4),
        "hr_at_20_all_std": round(float(np.std(everything)), 4),
    }


def _counts(events: Interactions, n_items: int) -> FloatArray:
    counts: npt.NDArray[np.int64] = np.bincount(events.items, minlength=n_items + 1)
    counts[0] = 0
    return counts.astype(np.float32)
