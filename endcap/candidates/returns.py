"""How shoppers come back to an item: what share of them, and after how long."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray, LongArray

_DAY_MS = 86_400_000.0
_SHORTEST_DAYS = 0.5
_PRIOR = 3.0
"""Returns of the shop's mean item that every item is given, so that one return says little."""


class Returns(NamedTuple):
    """`share` [V+1]: of an item's visits those that were not the shopper's first; `gap_days` [V+1]:
    the geometric mean of the days between them."""

    share: FloatArray
    gap_days: FloatArray


def count_returns(
    items: npt.NDArray[np.integer],
    shoppers: npt.NDArray[np.integer],
    sessions: npt.NDArray[np.integer],
    times_ms: LongArray,
    n_items: int,
) -> Returns:
    """From events [N]; a visit is one session with the item, however often it is in there."""
    known = np.flatnonzero(items)
    order = known[np.lexsort((times_ms[known], items[known], shoppers[known]))]
    item, shopper, session, time_ms = (a[order] for a in (items, shoppers, sessions, times_ms))
    same = (item[1:] == item[:-1]) & (shopper[1:] == shopper[:-1])
    again = same & (session[1:] != session[:-1])
    firsts = np.bincount(item[np.concatenate([[True], ~same])[: item.size]], minlength=n_items + 1)
    returned = item[1:][again]
    returns = np.bincount(returned, minlength=n_items + 1)
    days = np.log(np.maximum(np.diff(time_ms)[again] / _DAY_MS, _SHORTEST_DAYS))
    mean_share = returned.size / max(1, returned.size + int(firsts.sum()))
    mean_days = float(days.mean()) if days.size else 0.0
    sums = np.bincount(returned, days, minlength=n_items + 1)
    share = (returns + _PRIOR * mean_share) / (returns + firsts + _PRIOR)
    gap_days = np.exp((sums + _PRIOR * mean_days) / (returns + _PRIOR))
    return Returns(share.astype(np.float32), gap_days.astype(np.float32))
