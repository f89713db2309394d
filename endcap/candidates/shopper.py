"""Sessions as the model sees them: item indexes, and what is counted of them as of now."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray, IntArray, LongArray
from endcap.candidates.features import CONTEXT
from endcap.events import EventType
from endcap.sessions import HALF_LIFE_MS, Session

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
    index_of: Mapping[str, int],
    n_items: int,
) -> Crowd:
    """Translate sessions [B] to item indexes, each as of its own `now_ms` [B].

    `index_of`: what the model knows, of `n_items` in all; what it does not know is told apart, for
    it may be wanted again.
    """
    numbers = _Numbers(index_of, n_items)
    history, cart, bought = _Flat(), _Flat(), _Flat()
    types: list[int] = []
    times: list[int] = []
    counts: list[int] = []
    first_ms: list[int] = []
    last_ms: list[int] = []
    decayed: list[float] = []
    distinct: list[int] = []
    strange: list[tuple[str, ...]] = []
    for session in sessions:
        numbers.strange = {}
        names, kinds, when = _columns(session.history, 3)
        seen = numbers.of(names)
        history.add(seen)
        distinct.append(len(set(seen)))
        types += kinds
        times += when
        cart.add(numbers.of(session.cart) if session.carted else [])
        names, count, last, first, fading = _columns(session.purchased, 5)
        bought.add(numbers.of(names))
        counts += count
        last_ms += last
        first_ms += first
        decayed += fading
        strange.append(tuple(numbers.strange))
    now = np.array(now_ms, dtype=np.int64)
    history_at, bought_at = history.ends(), bought.ends()
    events = np.diff(history_at)
    types_of, times_of = np.array(types, dtype=np.int32), np.array(times, dtype=np.int64)
    count_of, last_of = np.array(counts, dtype=np.float64), np.array(last_ms, dtype=np.int64)
    since_ms = (np.repeat(now, np.diff(bought_at)) - last_of).astype(np.float64)
    gap_ms = (last_of - np.array(first_ms, dtype=np.int64)) / (count_of - 1).clip(1.0)
    due = np.where(count_of > 1, since_ms / gap_ms.clip(_DAY_MS), 0.0).clip(0.0, 4.0)
    fading_of = np.array(decayed, dtype=np.float64) * 0.5 ** (since_ms / HALF_LIFE_MS)
    return Crowd(
        n_items=n_items,
        strange=tuple(strange),
        now_ms=now,
        history_at=history_at,
        history=np.array(history.items, dtype=np.int32),
        types=types_of,
        times_ms=times_of,
        cart_at=cart.ends(),
        cart=np.array(cart.items, dtype=np.int32),
        bought_at=bought_at,
        bought=np.array(bought.items, dtype=np.int32),
        bought_count=count_of.astype(np.float32),
        bought_decayed=fading_of.astype(np.float32),
        bought_due=due.astype(np.float32),
        bought_ms=last_of,
        bought_recency=np.exp(-since_ms / _DAY_MS / 30.0).astype(np.float32),
        context=_context(
            events, distinct, np.diff(bought_at), np.diff(cart.ends()),
            _newest(types_of, history_at), now - _newest(times_of, history_at),
        ),
    )  # fmt: skip


def shopper_from_session(
    session: Session, index_of: Mapping[str, int], now_ms: int, n_items: int
) -> Shopper:
    """One session, as `make_crowd` translates it."""
    return make_crowd([session], [now_ms], index_of, n_items).shopper(0)


class _Numbers:
    """Indexes of items by name; `strange` names those of the shopper in hand that have none."""

    def __init__(self, index_of: Mapping[str, int], n_items: int) -> None:
        self._known = index_of.get
        self._first = n_items + 1
        self.strange: dict[str, int] = {}

    def of(self, names: Sequence[str]) -> list[int]:
        found = list(map(self._known, names))
        if None not in found:
            return found  # type: ignore[return-value]
        return [
            self.strange.setdefault(name, self._first + len(self.strange))
            if index is None
            else index
            for name, index in zip(names, found, strict=True)
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


def _columns(rows: Sequence[msgspec.Struct], width: int) -> Sequence[Sequence[Any]]:
    """The fields of rows, one sequence each."""
    return tuple(zip(*map(msgspec.structs.astuple, rows), strict=True)) if rows else ((),) * width


def _newest(of: npt.NDArray[np.integer], history_at: LongArray) -> LongArray:
    """The last event's [B]; 0 where there is none."""
    padded = np.append(of, 0)
    return np.where(np.diff(history_at) > 0, padded[history_at[1:] - 1], 0).astype(np.int64)


def _context(
    events: LongArray,
    distinct: list[int],
    bought: LongArray,
    carted: LongArray,
    last: LongArray,
    idle_ms: LongArray,
) -> FloatArray:
    idle_s = np.where(events > 0, idle_ms.clip(0) / 1000.0, 0.0)
    columns = (
        np.log1p(events),
        np.array(distinct) / events.clip(1),
        np.log1p(bought),
        np.log1p(idle_s) / 16.0,
        np.log1p(carted),
        last == _VIEW,
        last == _ADD,
        last == _PURCHASE,
    )
    return np.stack(columns, axis=1).astype(np.float32).reshape(-1, len(CONTEXT))
