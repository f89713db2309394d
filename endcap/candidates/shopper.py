"""Sessions as the model sees them: item indexes, and what is counted of them as of now."""

import importlib.util
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray, IntArray, LongArray
from endcap.candidates.features import CONTEXT
from endcap.events import EventType
from endcap.sessions import HALF_LIFE_MS, Session

IS_BUILT = importlib.util.find_spec("endcap.candidates.native_columns") is not None
"""False after an installation without a C compiler. A part that is there and does not load is an
error of its import."""
_DAY_MS = 86_400_000.0
_VIEW, _ADD, _PURCHASE = (
    kind.code for kind in (EventType.VIEW_ITEM, EventType.ADD_TO_CART, EventType.PURCHASE)
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


class Crowd(NamedTuple):
    """Shoppers [B], one after the other in flat arrays: `history`, `types` and `times_ms` of `b`
    stand at `history_at[b]:history_at[b + 1]`; `cart` and `bought*` likewise. `context`
    [B, len(CONTEXT)]."""

    n_items: int
    strange: tuple[tuple[str, ...], ...]
    now_ms: LongArray
    history_at: LongArray
    history: IntArray
    types: IntArray
    times_ms: LongArray
    cart_at: LongArray
    cart: IntArray
    bought_at: LongArray
    bought: IntArray
    bought_count: FloatArray
    bought_decayed: FloatArray
    bought_due: FloatArray
    bought_ms: LongArray
    bought_recency: FloatArray
    context: FloatArray

    @property
    def size(self) -> int:
        """B."""
        return len(self.strange)

    def shopper(self, row: int) -> Shopper:
        """One of them."""
        events = slice(self.history_at[row], self.history_at[row + 1])
        bought = slice(self.bought_at[row], self.bought_at[row + 1])
        return Shopper(
            n_items=self.n_items,
            strange=self.strange[row],
            now_ms=int(self.now_ms[row]),
            history=self.history[events],
            types=self.types[events],
            times_ms=self.times_ms[events],
            cart=self.cart[self.cart_at[row] : self.cart_at[row + 1]],
            bought=self.bought[bought],
            bought_count=self.bought_count[bought],
            bought_decayed=self.bought_decayed[bought],
            bought_due=self.bought_due[bought],
            bought_ms=self.bought_ms[bought],
            bought_recency=self.bought_recency[bought],
            context=self.context[row],
        )


def make_crowd(
    sessions: Sequence[Session],
    now_ms: Sequence[int],
    index_of: dict[str, int],
    n_items: int,
    natively: bool = IS_BUILT,
) -> Crowd:
    """Translate sessions [B] to item indexes, each as of its own `now_ms` [B].

    `index_of`: what the model knows, of `n_items` in all; what it does not know is told apart, for
    it may be wanted again. `natively`: by the compiled path, which gives the same.
    """
    raw = (_natively if natively else _in_python)(sessions, index_of, n_items)
    now = np.array(now_ms, dtype=np.int64)
    count = raw.bought_times.astype(np.float64)
    since_ms = (np.repeat(now, np.diff(raw.bought_at)) - raw.last_ms).astype(np.float64)
    gap_ms = (raw.last_ms - raw.first_ms) / (count - 1).clip(1.0)
    due = np.where(count > 1, since_ms / gap_ms.clip(_DAY_MS), 0.0).clip(0.0, 4.0)
    return Crowd(
        n_items=n_items,
        strange=raw.strange,
        now_ms=now,
        history_at=raw.history_at,
        history=raw.history,
        types=raw.types,
        times_ms=raw.times_ms,
        cart_at=raw.cart_at,
        cart=raw.cart,
        bought_at=raw.bought_at,
        bought=raw.bought,
        bought_count=count.astype(np.float32),
        bought_decayed=(raw.decayed * 0.5 ** (since_ms / HALF_LIFE_MS)).astype(np.float32),
        bought_due=due.astype(np.float32),
        bought_ms=raw.last_ms,
        bought_recency=np.exp(-since_ms / _DAY_MS / 30.0).astype(np.float32),
        context=_context(raw, now),
    )


def shopper_from_session(
    session: Session, index_of: dict[str, int], now_ms: int, n_items: int
) -> Shopper:
    """One session, as `make_crowd` translates it."""
    return make_crowd([session], [now_ms], index_of, n_items).shopper(0)


class Columns(NamedTuple):
    """What sessions [B] hold, one after the other, with item indexes for ids. `bought_times` [M]:
    transactions; `last_ms`, `first_ms` and `decayed` of them as `Purchased` has them."""

    strange: tuple[tuple[str, ...], ...]
    history_at: LongArray
    history: IntArray
    types: IntArray
    times_ms: LongArray
    cart_at: LongArray
    cart: IntArray
    bought_at: LongArray
    bought: IntArray
    bought_times: LongArray
    last_ms: LongArray
    first_ms: LongArray
    decayed: npt.NDArray[np.float64]


def _natively(sessions: Sequence[Session], index_of: dict[str, int], n_items: int) -> Columns:
    from endcap.candidates.native_columns import columns_of

    carts = [session.cart if session.carted else () for session in sessions]
    histories = [session.history for session in sessions]
    return Columns(*columns_of(sessions, histories, carts, index_of, n_items))


def _in_python(sessions: Sequence[Session], index_of: dict[str, int], n_items: int) -> Columns:
    numbers = _Numbers(index_of, n_items)
    history, cart, bought = _Flat(), _Flat(), _Flat()
    seen: list[tuple[int, int]] = []
    held: list[tuple[int, int, int, float]] = []
    strange: list[tuple[str, ...]] = []
    for session in sessions:
        numbers.strange = {}
        events = session.history
        history.add(numbers.of([past.item_id for past in events]))
        seen += [(past.type_code, past.timestamp_ms) for past in events]
        cart.add(numbers.of(session.cart))
        bought.add(numbers.of([past.item_id for past in session.purchased]))
        held += [(p.times, p.last_ms, p.first_ms, p.decayed) for p in session.purchased]
        strange.append(tuple(numbers.strange))
    types, times_ms = zip(*seen, strict=True) if seen else ((), ())
    bought_times, last_ms, first_ms, decayed = zip(*held, strict=True) if held else ((),) * 4
    return Columns(
        strange=tuple(strange),
        history_at=history.ends(),
        history=np.array(history.items, dtype=np.int32),
        types=np.array(types, dtype=np.int32),
        times_ms=np.array(times_ms, dtype=np.int64),
        cart_at=cart.ends(),
        cart=np.array(cart.items, dtype=np.int32),
        bought_at=bought.ends(),
        bought=np.array(bought.items, dtype=np.int32),
        bought_times=np.array(bought_times, dtype=np.int64),
        last_ms=np.array(last_ms, dtype=np.int64),
        first_ms=np.array(first_ms, dtype=np.int64),
        decayed=np.array(decayed, dtype=np.float64),
    )


class _Numbers:
    """Indexes of items by name; `strange` names those of the shopper in hand that have none."""

    def __init__(self, index_of: dict[str, int], n_items: int) -> None:
        self._index_of = index_of
        self._first = n_items + 1
        self.strange: dict[str, int] = {}

    def of(self, names: Sequence[str]) -> list[int]:
        return [
            self._index_of.get(name)
            or self.strange.setdefault(name, self._first + len(self.strange))
            for name in names
        ]


class _Flat:
    """Items of one shopper after the other."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self._ends = [0]

    def add(self, items: list[int]) -> None:
        self.items += items
        self._ends.append(len(self.items))

    def ends(self) -> LongArray:
        return np.array(self._ends, dtype=np.int64)


def _context(raw: Columns, now_ms: LongArray) -> FloatArray:
    events, rows = np.diff(raw.history_at), raw.history_at.size - 1
    row = np.repeat(np.arange(rows), events)
    span = int(raw.history.max(initial=0)) + 1
    distinct = np.bincount(np.unique(row * span + raw.history) // span, minlength=rows)
    # The last event of each; where there is none, whatever stands there is not looked at.
    last = np.append(raw.types, 0)[raw.history_at[1:] - 1] * (events > 0)
    idle_ms = now_ms - np.append(raw.times_ms, 0)[raw.history_at[1:] - 1]
    columns = (
        np.log1p(events),
        distinct / events.clip(1),
        np.log1p(np.diff(raw.bought_at)),
        np.log1p(np.where(events > 0, idle_ms.clip(0) / 1000.0, 0.0)) / 16.0,
        np.log1p(np.diff(raw.cart_at)),
        last == _VIEW,
        last == _ADD,
        last == _PURCHASE,
    )
    return np.stack(columns, axis=1).astype(np.float32).reshape(-1, len(CONTEXT))
