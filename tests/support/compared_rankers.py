"""A small shop in which sessions walk through the items in order, and three rankers on it."""

import numpy as np

from endcap.arrays import IntArray
from endcap.catalogue import CatalogueItem
from endcap.export.data.interactions import Cases, Interactions
from endcap.export.measures import Shop, shop_of
from endcap.export.report import (
    About,
    Epoch,
    Feedback,
    Found,
    Idea,
    compare,
    published_of,
)

N_ITEMS = 40
N_CASES = 300
PLACES = np.arange(20)


def interactions_of(seed: int, n_sequences: int) -> Interactions:
    """Sessions of 2 to 9 items that lie side by side; a low item begins more often."""
    random = np.random.default_rng(seed)
    lengths = random.integers(2, 10, n_sequences)
    starts = (N_ITEMS * random.random(n_sequences) ** 2).astype(int)
    items = np.concatenate(
        [(s + np.arange(n)) % N_ITEMS + 1 for s, n in zip(starts, lengths, strict=True)]
    )
    n = int(lengths.sum())
    return Interactions(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        items.astype(np.int32),
        np.ones(n, dtype=np.int8),
        np.arange(n, dtype=np.int64),
        np.repeat(np.arange(n_sequences), lengths).astype(np.int32),
    )


def found_in_small_shop(data: str = "a small shop", **about: object) -> Found:
    """What a report of the small shop shows; facts may be others."""
    return compare(*small_shop(), About(**facts(data) | about))


def small_shop() -> tuple[dict[str, IntArray], Cases, Shop]:
    """endcap continues the walk, `Later` does 15 items on, `Popular` shows the same to all."""
    train, later = interactions_of(1, 500), interactions_of(2, N_CASES)
    ends = later.offsets[1:] - 1
    last = later.items[ends - 1]
    cases = Cases(
        later,
        np.arange(N_CASES, dtype=np.int32),
        ends,
        np.zeros(N_CASES, dtype=np.int64),
        np.arange(N_CASES + 1, dtype=np.int64),
        np.where(np.arange(N_CASES) % 9, later.items[ends], 0).astype(np.int32),
    )
    items = [CatalogueItem(str(i), f"Item {i}", category=str(i % 4)) for i in range(1, N_ITEMS + 1)]
    shop = shop_of(train, items)
    popular = np.argsort(-shop.counts[1:], kind="stable")[:20] + 1
    slates = {
        "endcap": walk(last, 0),
        "Later": walk(last, 15),
        "Popular": np.tile(popular, (N_CASES, 1)).astype(np.int32),
    }
    return slates, cases, shop


def walk(last: IntArray, skipped: int) -> IntArray:
    return ((last[:, None] + skipped + PLACES) % N_ITEMS + 1).astype(np.int32)


def facts(data: str) -> dict[str, object]:
    return {
        "data": data,
        "protocol": "next-item",
        "command": "endcap evaluate events.csv --report out/",
        "machine": "2 cores",
        "created_at": "2026-11-25 12:00 UTC",
        "seconds_to_train": 61.0,
        "users_per_s": 1234.0,
        "facts": {"Source": "events.csv"},
        "sizes": {"Training events": 2750},
        "published": published_of("diginetica"),
        "training": tuple(Epoch(n, 9.0 / n, {"hr_at_20": 0.1 * n}) for n in range(1, 5)),
        "importance": {"nearness": 0.7, "popularity": -0.1},
        "ideas": (Idea("Walks", "hr_at_20", 0.4, 0.5, "one step on"),),
        "feedback": (
            Feedback(
                "endcap", "clicks", "by place", {"ips": (0.5, 0.4, 0.6)}, 150.0, 1.0, 900, 300
            ),
        ),
    }
