"""Which past sessions share items with a shopper's newest ones: the first half of every session
kNN."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import DoubleArray, IntArray
from endcap.candidates.scored import Recent
from endcap.candidates.session_index import SessionIndex, slices

_PLACES = 1024
"""A session and an item's place share one 64-bit key; more distinct items than this never speak."""


class CommonSessions(NamedTuple):
    """`sessions` [n] ascending, so oldest first; `similarity` [n]: summed weights of the common
    items; `newest` [n]: the place, among the recent items, of the newest one in common."""

    sessions: IntArray
    similarity: DoubleArray
    newest: IntArray


def sessions_in_common(
    recent: Recent, weights: DoubleArray, index: SessionIndex, sample: int
) -> CommonSessions:
    """The `sample` newest sessions that hold one of the recent items, whose weights [n] are given.

    Of each item only the `sample` newest sessions are read: an older one could not be among the
    newest of all.
    """
    items = recent.items[:_PLACES]
    places, counts = slices(index.item_offsets, items)
    if counts.size and counts.max() > sample:
        starts = np.cumsum(counts) - counts
        places = places[np.arange(places.size) - np.repeat(starts, counts) < sample]
        counts = np.minimum(counts, sample)
    # One plain sort of packed numbers: several times as fast as an argsort, and the first entry
    # of each session is its newest common item.
    place = np.repeat(np.arange(items.size), counts)
    keys = np.sort(index.item_sessions[places].astype(np.int64) * _PLACES + place)
    session, place = keys // _PLACES, keys % _PLACES
    begins = np.concatenate([[keys.size > 0], session[1:] != session[:-1]])
    starts = np.flatnonzero(begins)[-sample:]
    if not starts.size:
        nothing = np.empty(0, dtype=np.int32)
        return CommonSessions(nothing, np.empty(0), nothing)
    first = starts[0]
    summed = np.bincount(np.cumsum(begins[first:]) - 1, weights[place[first:]])
    similarity = summed.astype(np.float64)
    return CommonSessions(
        session[starts].astype(np.int32), similarity, place[starts].astype(np.int32)
    )


def best_sessions(similarity: DoubleArray, neighbours: int) -> npt.NDArray[np.intp]:
    """Places, ascending, of the `neighbours` most similar of sessions that stand oldest first; of
    equals the newer."""
    if similarity.size <= neighbours:
        return np.arange(similarity.size)
    # A billionth a place is far below any difference between two weights, and breaks ties.
    ranked = similarity + np.arange(similarity.size) * 1e-9
    return np.sort(np.argpartition(ranked, similarity.size - neighbours)[-neighbours:])
