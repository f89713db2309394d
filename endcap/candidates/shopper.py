"""Sessions as the model sees them: item indexes, and what is counted of them as of now."""

import importlib.util
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from endcap.arrays import DoubleArray, FloatArray, IntArray, LongArray
from endcap.candidates.features import CONTEXT, IDLE_BY
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
    now = np.array(now_ms, dtype=np.int64)
    return (_natively if natively else _in_python)(sessions, now, index_of, n_items)


def shopper_from_session(
    session: Session, index_of: dict[str, int], now_ms: int, n_items: int
) -> Shopper:
    """One session, as `make_crowd` translates it."""
    return make_crowd([session], [now_ms], index_of, n_items).shopper(0)


def _natively(
    sessions: Sequence[Session], now_ms: LongArray, index_of: dict[str, int], n_items: int
) -> Crowd:
    from endcap.candidates.native_columns import columns_of

    strange, *columns = columns_of(sessions, now_ms, index_of, n_items)
    return Crowd(n_items, strange, now_ms, *columns)


def _in_python(
    sessions: Sequence[Session], now_ms: LongArray, index_of: dict[str, int], n_items: int
) -> Crowd:
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
    times, last, first, counts = zip(*held, strict=True) if held else ((),) * 4
    count, last_ms, bought_at = np.array(times, float), np.array(last, np.int64), bought.ends()
    since_ms = (np.repeat(now_ms, np.diff(bought_at)) - last_ms).astype(np.float64)
    gap_ms = (last_ms - np.array(first, np.int64)) / (count - 1).clip(1.0)
    due = np.where(count > 1, since_ms / gap_ms.clip(_DAY_MS), 0.0).clip(0.0, 4.0)
    crowd = Crowd(
        n_items=n_items,
        strange=tuple(strange),
        now_ms=now_ms,
        history_at=history.ends(),
        history=np.array(history.items, dtype=np.int32),
        types=np.array(types, dtype=np.int32),
        times_ms=np.array(times_ms, dtype=np.int64),
        cart_at=cart.ends(),
        cart=np.array(cart.items, dtype=np.int32),
        bought_at=bought_at,
        bought=np.array(bought.items, dtype=np.int32),
        bought_count=count.astype(np.float32),
        bought_decayed=_decayed(np.array(counts, float), since_ms),
        bought_due=due.astype(np.float32),
        bought_ms=last_ms,
        bought_recency=_recency(since_ms),
        context=np.empty((len(sessions), len(CONTEXT)), np.float32),
    )
    return crowd._replace(context=_context(crowd))


def _decayed(counts: DoubleArray, since_ms: DoubleArray) -> FloatArray:
    decayed: FloatArray = (counts * 0.5 ** (since_ms / HALF_LIFE_MS)).astype(np.float32)
    return decayed


def _recency(since_ms: DoubleArray) -> FloatArray:
    recency: FloatArray = np.exp(-since_ms / _DAY_MS / 30.0).astype(np.float32)
    return recency


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


def _context(crowd: Crowd) -> FloatArray:
    events = np.diff(crowd.history_at)
    row = np.repeat(np.arange(crowd.size), events)
    span = int(crowd.history.max(initial=0)) + 1
    distinct = np.bincount(np.unique(row * span + crowd.history) // span, minlength=crowd.size)
    # The last event of each; where there is none, whatever stands there is not looked at.
    last = np.append(crowd.types, 0)[crowd.history_at[1:] - 1] * (events > 0)
    idle_ms = crowd.now_ms - np.append(crowd.times_ms, 0)[crowd.history_at[1:] - 1]
    columns = (
        np.log1p(events),
        distinct / events.clip(1),
        np.log1p(np.diff(crowd.bought_at)),
        np.log1p(np.where(events > 0, idle_ms.clip(0) / 1000.0, 0.0)) / IDLE_BY,
        np.log1p(np.diff(crowd.cart_at)),
        last == _VIEW,
        last == _ADD,
        last == _PURCHASE,
    )
    return np.stack(columns, axis=1).astype(np.float32).reshape(-1, len(CONTEXT))
