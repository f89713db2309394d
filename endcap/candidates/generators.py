"""The flat indexes that generators of candidates read, and what they are built from."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray, IntArray, LongArray
from endcap.candidates.item_knn import ItemKnn, build_item_knn
from endcap.candidates.neighbours import Neighbours, inverted
from endcap.candidates.returns import Returns, count_returns
from endcap.candidates.session_index import SessionIndex, build_session_index, ranked_by_time
from endcap.candidates.transitions import Transitions, build_transitions

N_POPULAR = 100
_ALIKE_WINDOW = 100
POPULAR_WINDOW = 0.1
"""Popular now: among the newest tenth of all events, counted by events, so that data without a
clock has it too."""

_NONE = np.empty(0, dtype=np.int32)
_BEHIND_ALL = 1e-15
"""A share times this is less than that of one event among all that a shop may have."""


class Generators(NamedTuple):
    """Indexes over item indexes 1..V; row 0 is padding.

    `popular` [P]: best first, by the newest events. `popularity`, `popularity_now` [V+1]: shares of
    all events and of the newest. `returns`: how shoppers come back. `sessions`: past sessions for
    STAN and VMIS-kNN. `following`: what came after an item in a session; `preceding`: the same
    pairs from the other side; `together`: what stood in the same sessions; `alike`: what stood in
    the histories of the same shoppers, however far apart. `placed`: items that no event names,
    placed by their text; their popularity is that of items like them.
    """

    popular: IntArray
    popularity: FloatArray
    popularity_now: FloatArray
    returns: Returns
    sessions: SessionIndex
    following: Neighbours
    preceding: Neighbours
    together: Neighbours
    alike: Neighbours
    placed: IntArray = _NONE

    @property
    def met(self) -> npt.NDArray[np.bool_]:
        """What is known of at all [V+1]: by events, or by a text that is like others'."""
        return np.asarray(self.popularity > 0)

    @property
    def sold_first(self) -> FloatArray:
        """Popularity [V+1] with what was placed behind all that has sold, for whoever chooses by it
        among items that are equal else."""
        popularity = self.popularity.copy()
        popularity[self.placed] *= _BEHIND_ALL
        return popularity


class GeneratorOptions(NamedTuple):
    """`most_recent`: sessions kept an item; `newest_sessions`: sessions kept in all; `keep`:
    neighbours an item."""

    most_recent: int = 1000
    newest_sessions: int = 1 << 31
    keep: int = 50


def build_generators(
    items: IntArray,
    shoppers: npt.NDArray[np.integer],
    sessions: npt.NDArray[np.integer],
    times_ms: LongArray,
    n_items: int,
    options: GeneratorOptions,
) -> Generators:
    """Index events [N]; a shopper's events, and a session's, stand together, oldest first."""
    everything = _shares(items, n_items)
    newest = np.argsort(times_ms, kind="stable")[-max(1, int(items.size * POPULAR_WINDOW)) :]
    now = _shares(items[newest], n_items)
    order = np.argsort(-now, kind="stable")[:N_POPULAR]
    kept = _newest_sessions(sessions, times_ms, options.newest_sessions)
    transitions = Transitions(keep=options.keep)
    following = build_transitions(items, sessions, n_items, transitions).following
    return Generators(
        popular=order[now[order] > 0].astype(np.int32),
        popularity=everything,
        popularity_now=now,
        returns=count_returns(items, shoppers, sessions, times_ms, n_items),
        sessions=build_session_index(
            items[kept], sessions[kept], times_ms[kept], n_items, options.most_recent
        ),
        following=following,
        preceding=inverted(following, everything),
        together=build_item_knn(items, sessions, n_items, ItemKnn(keep=options.keep)),
        alike=build_item_knn(
            items, shoppers, n_items, ItemKnn(keep=options.keep, window=_ALIKE_WINDOW, shrink=3.0)
        ),
    )


def _shares(items: IntArray, n_items: int) -> FloatArray:
    counts = np.bincount(items, minlength=n_items + 1).astype(np.float64)
    counts[0] = 0
    shares: FloatArray = (counts / max(1.0, float(counts.sum()))).astype(np.float32)
    return shares


def _newest_sessions(
    sessions: npt.NDArray[np.integer], times_ms: LongArray, most: int
) -> npt.NDArray[np.bool_]:
    rank, newest_ms = ranked_by_time(sessions, times_ms)
    return rank >= newest_ms.size - most
