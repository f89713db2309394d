"""Impressions as questions: what would a ranker show to that shopper, at that time?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from endcap.arrays import IntArray
from endcap.catalogue import CatalogueItem
from endcap.errors import DataError
from endcap.export.data.interactions import Cases, DataSet
from endcap.export.measures.impressions import Impressions


class Replay(NamedTuple):
    """One case for each list of `impressions`; `n_unknown` lists are of shoppers without events
    before them, and left out."""

    impressions: Impressions
    cases: Cases
    n_unknown: int


def cases_of(impressions: Impressions, data: DataSet) -> Replay:
    """A case for each list, with what the shopper had done before it was shown.

    The targets are what was clicked, 0 where nothing was: they are for no measure but feedback's.
    A ranker learns from events before the first list, or it knows what it is asked.

    Raises:
        DataError: no list is of a shopper with events before it.
    """
    numbers = {name: place for place, name in enumerate(data.sequence_ids)}
    sequences = np.array([numbers.get(name, -1) for name in impressions.user_ids], dtype=np.int32)
    offsets, times = data.interactions.offsets, data.interactions.times_ms
    ends = np.zeros(impressions.n_lists, dtype=np.int64)
    for row, (sequence, now) in enumerate(zip(sequences, impressions.shown_ms, strict=True)):
        if sequence >= 0:
            start, end = offsets[sequence], offsets[sequence + 1]
            ends[row] = start + np.searchsorted(times[start:end], now)
    known = (sequences >= 0) & (ends > offsets[sequences])
    if not known.any():
        raise DataError(
            f"no list of {known.size:,} is of a shopper with events before it. Do user_id and"
            " shown_at mean the same in the impressions and in the events?"
        )
    kept = impressions.of_lists(known)
    places = {item.item_id: place for place, item in enumerate(data.items, start=1)}
    indexes = np.array([places.get(name, 0) for name in kept.item_ids], dtype=np.int32)
    clicks = kept.lists[kept.clicked]
    without = np.setdiff1d(np.arange(kept.n_lists), clicks)
    owners = np.concatenate([clicks, without])
    wanted = np.concatenate([indexes[kept.items[kept.clicked]], np.zeros_like(without)])
    order = np.argsort(owners, kind="stable")
    counts = np.bincount(owners, minlength=kept.n_lists)
    return Replay(
        kept,
        Cases(
            data.interactions,
            sequences[known],
            ends[known],
            kept.shown_ms,
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            wanted[order].astype(np.int32),
        ),
        int((~known).sum()),
    )


def slates_of(
    slates: IntArray, items: Sequence[CatalogueItem], impressions: Impressions
) -> IntArray:
    """A ranker's slates [L, 20] of item indexes, told in the impressions' items (from 1; 0: none).

    Items that no impression shows get numbers past the last of them.
    """
    n = len(impressions.item_ids)
    places = {name: place for place, name in enumerate(impressions.item_ids, start=1)}
    told = [places.get(item.item_id, n + index) for index, item in enumerate(items, start=1)]
    return np.array([0, *told], dtype=np.int32)[slates]
