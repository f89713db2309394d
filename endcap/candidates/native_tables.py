"""What the compiled path of `gather_candidates` is given: its settings as tables, so that every
exponential and logarithm is numpy's."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from endcap.arrays import DoubleArray, FloatArray
from endcap.candidates import gather
from endcap.candidates.generators import Generators
from endcap.candidates.session_index import SessionIndex
from endcap.candidates.shopper import Crowd
from endcap.candidates.stan import LEAST, Stan
from endcap.events import EventType


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


class Derived(NamedTuple):
    """What is counted of a crowd, one number for each event or item bought.

    `faded`: exp(-days since the event); `logarithm`: of 1 + a count, as far as a history reaches.
    """

    logarithm: FloatArray
    faded: FloatArray
    log_count: FloatArray
    log_decayed: FloatArray
    habit: FloatArray


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


def derive(crowd: Crowd) -> Derived:
    """For the shoppers of one batch."""
    events = crowd.history_at[1:] - crowd.history_at[:-1]
    log_count = np.log1p(crowd.bought_count)
    return Derived(
        logarithm=_logarithms(crowd.history.size.bit_length()),
        faded=gather.faded(crowd.now_ms.repeat(events) - crowd.times_ms),
        log_count=log_count,
        log_decayed=np.log1p(crowd.bought_decayed),
        habit=gather.habit(crowd.bought_decayed, log_count),
    )


@lru_cache
def _logarithms(bits: int) -> FloatArray:
    logarithm: FloatArray = np.log1p(np.arange(1 << bits)).astype(np.float32)
    return logarithm


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
