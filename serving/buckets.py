"""The few shapes to which batches are padded where shapes must be known beforehand."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from endcap.batches import Batch
from endcap.candidates import CONTEXT, FEATURES

_ROWS = (1, 16, 64, 256)
_SHORT = 8
"""Events. Most real sessions hold no more."""
_MOST_LOGITS = 1 << 27
"""Rows times items: half a GiB of float32, of which a call holds several."""


class Bucket(NamedTuple):
    """One shape: shoppers, events of each, candidates of each."""

    rows: int
    length: int
    candidates: int

    def holds(self, batch: Batch) -> bool:
        """Whether all of a batch has a place."""
        return all(has <= fits for has, fits in zip(shape_of(batch), self, strict=True))


def shape_of(batch: Batch) -> Bucket:
    """The bucket that fits without padding."""
    rows, length = batch.item_ids.shape
    return Bucket(rows, length, batch.candidate_ids.shape[1])


def buckets_for(items: int, length: int, candidates: int) -> tuple[Bucket, ...]:
    """Smallest first. `items`: of the catalogue, which bounds the rows; `length`: events that the
    model reads; `candidates`: the most of a shopper.

    >>> [tuple(bucket) for bucket in buckets_for(10_000_000, 50, 300)]
    [(1, 8, 300), (1, 50, 300)]
    """
    most = max(1, _MOST_LOGITS // (items + 1))
    rows = [each for each in _ROWS if each <= most]
    lengths = sorted({min(_SHORT, length), length})
    return tuple(Bucket(n, long, candidates) for n in rows for long in lengths)


def bucket_of(batch: Batch, buckets: Sequence[Bucket]) -> Bucket | None:
    """The first of `buckets`, smallest first, that holds all of it; None where none does."""
    return next((bucket for bucket in buckets if bucket.holds(batch)), None)


def in_parts(batch: Batch, rows: int) -> Iterator[Batch]:
    """At most `rows` shoppers each, in their order."""
    for start in range(0, max(1, batch.item_ids.shape[0]), rows):
        at = slice(start, start + rows)
        items, types, gaps, candidates, features, context = batch
        yield Batch(items[at], types[at], gaps[at], candidates[at], features[at], context[at])


def empty(bucket: Bucket) -> Batch:
    """Padding alone."""
    rows, length, candidates = bucket
    items, types, gaps = (np.zeros((rows, length), np.int64) for _ in range(3))
    return Batch(
        items,
        types,
        gaps,
        np.zeros((rows, candidates), np.int64),
        np.zeros((rows, candidates, len(FEATURES)), np.float32),
        np.zeros((rows, len(CONTEXT)), np.float32),
    )


def fill(into: Batch, batch: Batch) -> None:
    """Write a batch into a larger one: sessions at the right, candidates at the left, shoppers
    first; all else becomes padding."""
    rows, length, candidates = shape_of(batch)
    for place, given in zip(into[:3], batch[:3], strict=True):
        first = place.shape[1] - length
        place[rows:] = 0
        place[:rows, :first] = 0
        place[:rows, first:] = given
    into.candidate_ids[rows:] = 0
    into.candidate_ids[:rows, candidates:] = 0
    into.candidate_ids[:rows, :candidates] = batch.candidate_ids
    into.features[rows:] = 0
    into.features[:rows, candidates:] = 0
    into.features[:rows, :candidates] = batch.features
    into.context[rows:] = 0
    into.context[:rows] = batch.context
