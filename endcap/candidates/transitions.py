"""Which items followed which: co-visitation with a direction."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import DoubleArray
from endcap.candidates.neighbours import Neighbours, best_neighbours
from endcap.candidates.pair_sums import PairSums, pair_sums


class Transitions(NamedTuple):
    """Settings. A pair `d` places apart weighs `decay` ** (d - 1), up to `window` places.

    A score is the summed weight over all that follows the item (`decay` aside, the share of its
    followers), divided by the share of the other among all followers to the power `popularity`:
    0 ranks by probability, 1 by lift. `shrink`: weight that is added to the item's sum, so that
    what was seen once does not come first.
    """

    window: int = 5
    decay: float = 0.6
    popularity: float = 0.0
    shrink: float = 2.0
    keep: int = 100


class BothDirections(NamedTuple):
    """`following`: what came after an item; `preceding`: what came before it. An item to which
    people come back is among its own."""

    following: Neighbours
    preceding: Neighbours


def build_transitions(
    items: npt.NDArray[np.integer],
    sessions: npt.NDArray[np.integer],
    n_items: int,
    options: Transitions,
    weights: DoubleArray | None = None,
) -> BothDirections:
    """Index events [N]; a session's events stand together, oldest first.

    `weights` [N] multiply a pair by its later event's, for a decay by time.
    """
    by_distance = [options.decay**steps for steps in range(options.window)]
    pairs = pair_sums(items, sessions, by_distance, n_items, weights)
    back = PairSums(pairs.other, pairs.item, pairs.sums)
    return BothDirections(_best(pairs, n_items, options), _best(back, n_items, options))


def _best(pairs: PairSums, n_items: int, options: Transitions) -> Neighbours:
    leaving = np.bincount(pairs.item, pairs.sums, minlength=n_items + 1)
    arriving = np.bincount(pairs.other, pairs.sums, minlength=n_items + 1)
    share = arriving / max(float(arriving.sum()), 1e-12)
    scores = pairs.sums / (leaving[pairs.item] + options.shrink)
    if options.popularity:
        scores = scores / share[pairs.other] ** options.popularity
    return best_neighbours(pairs, scores, n_items, options.keep)
