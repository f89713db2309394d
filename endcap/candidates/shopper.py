"""A session as the model sees it: item indexes, and what is counted of them as of now."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from endcap.arrays import FloatArray, IntArray, LongArray
from endcap.events import EventType
from endcap.sessions import HALF_LIFE_MS, Session

_DAY_MS = 86_400_000.0
_VIEW, _ADD, _PURCHASE = (
    kind.code for kind in (EventType.VIEW_ITEM, EventType.ADD_TO_CART, EventType.PURCHASE)
)

CONTEXT = (
    "history_length",  # log(1 + events in the history)
    "distinct_share",  # distinct items / events in the history
    "items_bought",  # log(1 + distinct items bought)
    "since_last_event",  # log(1 + seconds) / 16
    "cart_size",  # log(1 + items in the cart)
    "last_was_view",
    "last_was_cart",
    "last_was_purchase",
)


class Shopper(NamedTuple):
    """A session in item indexes as of `now_ms`.

    `history`, `types`, `times_ms` [n] oldest first; `cart` [c]; `bought*` [m]; `context`
    [len(CONTEXT)]. An item that the model knows nothing of has an index of its own for this shopper
    alone: `n_items + 1 + k` is `strange[k]`.
    """

    n_items: int
    strange: tuple[str, ...]
    now_ms: int
    history: IntArray
    types: IntArray
    times_ms: LongArray
    cart: IntArray
    bought: IntArray
    bought_count: FloatArray
    bought_decayed: FloatArray
    bought_due: FloatArray
    bought_ms: LongArray
    bought_recency: FloatArray
    context: FloatArray


def shopper_from_session(
    session: Session, index_of: Mapping[str, int], now_ms: int, n_items: int
) -> Shopper:
    """Translate a session to item indexes. `index_of`: what the model knows, of `n_items` in all;
    what it does not know is told apart, for it may be wanted again."""
    strange: dict[str, int] = {}

    def number(item_id: str) -> int:
        known = index_of.get(item_id)
        if known is not None:
            return known
        return strange.setdefault(item_id, n_items + 1 + len(strange))

    seen = [(number(past.item_id), past.type_code, past.timestamp_ms) for past in session.history]
    events = np.array(seen, dtype=np.int64).reshape(-1, 3)
    cart = [number(item) for item in session.cart]
    bought = np.array(
        [
            (number(past.item_id), past.times, past.first_ms, past.last_ms, past.decayed)
            for past in session.purchased
        ],
        dtype=np.float64,
    ).reshape(-1, 5)
    count, since_ms = bought[:, 1], now_ms - bought[:, 3]
    gap_ms = (bought[:, 3] - bought[:, 2]) / (count - 1).clip(1.0)
    due = np.where(count > 1, since_ms / gap_ms.clip(_DAY_MS), 0.0).clip(0.0, 4.0)
    history = events[:, 0].astype(np.int32)
    idle_s = max(0, now_ms - int(events[-1, 2])) / 1000.0 if history.size else 0.0
    last = int(events[-1, 1]) if history.size else 0
    context = (
        np.log1p(history.size),
        np.unique(history).size / max(1, history.size),
        np.log1p(count.size),
        np.log1p(idle_s) / 16.0,
        np.log1p(len(cart)),
        float(last == _VIEW),
        float(last == _ADD),
        float(last == _PURCHASE),
    )
    return Shopper(
        n_items=n_items,
        strange=tuple(strange),
        now_ms=now_ms,
        history=history,
        types=events[:, 1].astype(np.int32),
        times_ms=events[:, 2],
        cart=np.array(cart, dtype=np.int32),
        bought=bought[:, 0].astype(np.int32),
        bought_count=count.astype(np.float32),
        bought_decayed=(bought[:, 4] * 0.5 ** (since_ms / HALF_LIFE_MS)).astype(np.float32),
        bought_due=due.astype(np.float32),
        bought_ms=bought[:, 3].astype(np.int64),
        bought_recency=np.exp(-since_ms / _DAY_MS / 30.0).astype(np.float32),
        context=np.array(context, dtype=np.float32),
    )
