"""What the compiled path of `gather_candidates` is given: its settings as tables, so that every
exponential and logarithm is numpy's, and a batch of shoppers as flat arrays."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray, IntArray, LongArray
from endcap.candidates import gather
from endcap.candidates.generators import Generators
from endcap.candidates.session_index import SessionIndex
from endcap.candidates.shopper import Shopper
from endcap.candidates.stan import LEAST, Stan
from endcap.events import EventType

DoubleArray = npt.NDArray[np.float64]
T = TypeVar("T", bound=np.generic)


class StanTables(NamedTuple):
    """`weight` [length] by events back; `match` by events back and `away` by places, as far as they
    are heard; `age` [S] of each past session."""

    length: int
    sample: int
    neighbours: int
    weight: DoubleArray
    match: DoubleArray
    away: DoubleArray
    age: DoubleArray


class Tables(NamedTuple):
    """All settings of `endcap.candidates.gather`. `vmis_weight` [length + 1, length] by how many
    events speak and how many back; `vmis_match` [length]; `vmis_idf` [V + 1]; `fade`,
    `alike_fade` by events back."""

    stan: StanTables
    near: StanTables
    vmis_length: int
    vmis_sample: int
    vmis_neighbours: int
    vmis_weight: DoubleArray
    vmis_match: DoubleArray
    vmis_idf: FloatArray
    recent_length: int
    fade: FloatArray
    alike_length: int
    alike_fade: DoubleArray
    named: int
    max_bought: int
    max_candidates: int
    add_code: int
    purchase_code: int


class Crowd(NamedTuple):
    """Shoppers [B] one after the other, each array with the next one's first place: shopper `b` has
    the events `history_at[b]:history_at[b + 1]`, and so on.

    `faded`: exp(-days since the event); `logarithm`: of 1 + a count, as far as a history reaches.
    """

    now_ms: LongArray
    most_strange: int
    longest: int
    logarithm: FloatArray
    history_at: LongArray
    history: IntArray
    types: IntArray
    times_ms: LongArray
    faded: FloatArray
    cart_at: LongArray
    cart: IntArray
    bought_at: LongArray
    bought: IntArray
    bought_ms: LongArray
    bought_count: FloatArray
    log_count: FloatArray
    decayed: FloatArray
    log_decayed: FloatArray
    habit: FloatArray
    due: FloatArray
    recency: FloatArray


def make_tables(generators: Generators) -> Tables:
    """For the indexes of one bundle."""
    vmis = gather.VMIS
    steps = np.arange(vmis.length)
    spoken = np.arange(vmis.length + 1)[:, None].clip(1)
    return Tables(
        stan=_stan_tables(gather.STAN, generators.sessions),
        near=_stan_tables(gather.STAN_NEAR, generators.sessions),
        vmis_length=vmis.length,
        vmis_sample=vmis.sample,
        vmis_neighbours=vmis.neighbours,
        vmis_weight=(1.0 - steps / spoken).clip(0.0) ** vmis.decay,
        vmis_match=(1.0 - vmis.match_step * steps).clip(0.0),
        vmis_idf=1.0 + vmis.idf * generators.sessions.item_idf,
        recent_length=gather.RECENT,
        fade=(gather.FADE ** np.arange(gather.RECENT)).astype(np.float32),
        alike_length=gather.ALIKE.length,
        alike_fade=gather.ALIKE.decay ** np.arange(gather.ALIKE.length, dtype=np.float64),
        named=gather.NAMED,
        max_bought=gather.MAX_BOUGHT,
        max_candidates=gather.MAX_CANDIDATES,
        add_code=EventType.ADD_TO_CART.code,
        purchase_code=EventType.PURCHASE.code,
    )


def make_crowd(shoppers: Sequence[Shopper]) -> Crowd:
    """Shoppers, at least one, as flat arrays. One number at the end keeps an array from being
    empty."""
    history_at = _ends([s.history.size for s in shoppers])
    bought_at = _ends([s.bought.size for s in shoppers])
    now_ms = np.array([s.now_ms for s in shoppers], dtype=np.int64)
    times_ms = _flat([s.times_ms for s in shoppers], np.int64)
    count = _flat([s.bought_count for s in shoppers], np.float32)
    decayed = _flat([s.bought_decayed for s in shoppers], np.float32)
    longest = int(np.diff(history_at).max())
    return Crowd(
        now_ms=now_ms,
        most_strange=max(len(s.strange) for s in shoppers),
        longest=max(longest, int(np.diff(bought_at).max())),
        logarithm=np.log1p(np.arange(longest + 1)).astype(np.float32),
        history_at=history_at,
        history=_flat([s.history for s in shoppers], np.int32),
        types=_flat([s.types for s in shoppers], np.int32),
        times_ms=times_ms,
        faded=gather.faded(np.append(np.repeat(now_ms, np.diff(history_at)), 0) - times_ms),
        cart_at=_ends([s.cart.size for s in shoppers]),
        cart=_flat([s.cart for s in shoppers], np.int32),
        bought_at=bought_at,
        bought=_flat([s.bought for s in shoppers], np.int32),
        bought_ms=_flat([s.bought_ms for s in shoppers], np.int64),
        bought_count=count,
        log_count=np.log1p(count),
        decayed=decayed,
        log_decayed=np.log1p(decayed),
        habit=gather.habit(decayed, count),
        due=_flat([s.bought_due for s in shoppers], np.float32),
        recency=_flat([s.bought_recency for s in shoppers], np.float32),
    )


def _stan_tables(options: Stan, sessions: SessionIndex) -> StanTables:
    steps = np.arange(options.length)
    longest = int(np.diff(sessions.session_offsets).max(initial=1))
    age = (sessions.n_sessions - 1 - np.arange(sessions.n_sessions)) / max(1, sessions.n_sessions)
    return StanTables(
        length=options.length,
        sample=options.sample,
        neighbours=options.neighbours,
        weight=np.exp(-steps / options.recency),
        match=_heard(np.exp(-steps / options.match)),
        away=_heard(np.exp(-np.arange(longest) / options.distance)),
        age=np.exp(-age / options.age),
    )


def _heard(falling: DoubleArray) -> DoubleArray:
    return falling[falling >= LEAST]


def _ends(sizes: list[int]) -> LongArray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _flat(arrays: list[npt.NDArray[T]], kind: type[T]) -> npt.NDArray[T]:
    return np.concatenate([*arrays, np.zeros(1, kind)])
