# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Sessions as a `Crowd`, without a list of numbers for each: what `_in_python` of
`endcap.candidates.shopper` does, in a fraction of the time. Logarithms, powers and exponentials are
left to numpy, a call each for all shoppers, so that all numbers are the same to the last bit."""

from libc.stdint cimport int32_t, int64_t

import numpy as np
from msgspec.structs import astuple

from endcap.candidates.features import CONTEXT, IDLE_BY
from endcap.events import EventType
from endcap.sessions import HALF_LIFE_MS

cdef enum:
    DAY_MS = 86400000

cdef enum:
    LENGTH, DISTINCT, BOUGHT, IDLE, CARTED, VIEWED_LAST, CARTED_LAST, BOUGHT_LAST
    AROUND

if AROUND != len(CONTEXT):
    raise ImportError("native_columns.pyx tells another context than endcap.candidates.CONTEXT")

cdef int32_t VIEW = EventType.VIEW_ITEM.code
cdef int32_t ADD = EventType.ADD_TO_CART.code
cdef int32_t PURCHASE = EventType.PURCHASE.code
cdef double HALF_LIFE = HALF_LIFE_MS, SCALE = IDLE_BY


def columns_of(sessions, const int64_t[::1] now_ms, dict index_of, int32_t n_items):
    """The fields of `Crowd` from `strange` on, without `now_ms`."""
    cdef Py_ssize_t rows = len(sessions), row, at
    cdef Py_ssize_t events = 0, carted = 0, bought = 0, distinct, first
    cdef int64_t[:, ::1] ends
    cdef int64_t[::1] times_ms, last_ms
    cdef int32_t[:, ::1] history
    cdef int32_t[::1] cart, item
    cdef float[:, ::1] held, context
    cdef double[:, ::1] past, counted
    cdef const double[:, ::1] logarithm
    cdef const double[::1] halved, recency
    cdef int64_t times, last, earliest, idle_ms
    cdef double gap_ms, ratio, since_ms, decayed
    histories, carts, purchases = [], [], []
    ends_of = np.zeros((3, rows + 1), np.int64)
    ends = ends_of
    for row in range(rows):
        session = sessions[row]
        histories.append(session.history)
        carts.append(session.cart)
        purchases.append(session.purchased)
        ends[0, row + 1] = ends[0, row] + len(histories[row])
        ends[1, row + 1] = ends[1, row] + len(carts[row])
        ends[2, row + 1] = ends[2, row] + len(purchases[row])
    history_of = np.empty((2, ends[0, rows]), np.int32)  # items, types
    times_ms_of = np.empty(ends[0, rows], np.int64)
    cart_of, item_of = np.empty(ends[1, rows], np.int32), np.empty(ends[2, rows], np.int32)
    last_of = np.empty(ends[2, rows], np.int64)
    held_of = np.empty((4, ends[2, rows]), np.float32)  # count, decayed, due, recency
    past_of = np.empty((3, ends[2, rows]), np.float64)  # decayed then; half-lives; months, negative
    counted_of, context_of = np.zeros((rows, AROUND)), np.zeros((rows, AROUND), np.float32)
    history, times_ms, cart, item, last_ms = history_of, times_ms_of, cart_of, item_of, last_of
    held, past, counted, context = held_of, past_of, counted_of, context_of
    unknown = []
    for row in range(rows):
        strange = {}
        first, distinct = events, 0
        for done in histories[row]:
            name, code, when_ms = <tuple>astuple(done)
            history[0, events] = number(name, index_of, strange, n_items)
            history[1, events], times_ms[events] = code, when_ms
            at = events - 1
            while at >= first and history[0, at] != history[0, events]:
                at -= 1
            distinct += at < first
            events += 1
        for name in carts[row]:
            cart[carted] = number(name, index_of, strange, n_items)
            carted += 1
        for one in purchases[row]:
            name, times, last, earliest, decayed = <tuple>astuple(one)
            item[bought] = number(name, index_of, strange, n_items)
            since_ms = now_ms[row] - last
            last_ms[bought] = last
            held[0, bought], held[2, bought] = times, 0.0
            past[0, bought], past[1, bought] = decayed, since_ms / HALF_LIFE
            past[2, bought] = -since_ms / <double>DAY_MS / 30.0
            if times > 1:
                gap_ms = <double>(last - earliest) / <double>(times - 1)
                ratio = since_ms / (gap_ms if gap_ms > DAY_MS else <double>DAY_MS)
                held[2, bought] = min(max(ratio, 0.0), 4.0)
            bought += 1
        unknown.append(tuple(strange))
        counted[row, LENGTH] = events - first
        counted[row, BOUGHT] = len(purchases[row])
        counted[row, CARTED] = len(carts[row])
        if events > first:
            idle_ms = now_ms[row] - times_ms[events - 1]
            counted[row, IDLE] = (idle_ms if idle_ms > 0 else 0) / 1000.0
            context[row, DISTINCT] = <double>distinct / <double>(events - first)
            context[row, VIEWED_LAST] = history[1, events - 1] == VIEW
            context[row, CARTED_LAST] = history[1, events - 1] == ADD
            context[row, BOUGHT_LAST] = history[1, events - 1] == PURCHASE
    logarithm = np.log1p(counted_of)
    halved, recency = np.power(0.5, past_of[1]), np.exp(past_of[2])
    for at in range(bought):
        held[1, at], held[3, at] = past[0, at] * halved[at], recency[at]
    for row in range(rows):
        context[row, LENGTH] = logarithm[row, LENGTH]
        context[row, BOUGHT] = logarithm[row, BOUGHT]
        context[row, CARTED] = logarithm[row, CARTED]
        context[row, IDLE] = logarithm[row, IDLE] / SCALE
    count_of, decayed_of, due_of, recency_of = held_of
    return (
        tuple(unknown), ends_of[0], history_of[0], history_of[1], times_ms_of, ends_of[1], cart_of,
        ends_of[2], item_of, count_of, decayed_of, due_of, last_of, recency_of, context_of,
    )


cdef inline int32_t number(str name, dict index_of, dict strange, int32_t n_items) except -1:
    """The item's index; for one that has none, its place among the shopper's own."""
    found = index_of.get(name)
    if found is None:
        found = strange.get(name)
        if found is None:
            found = n_items + 1 + len(strange)
            strange[name] = found
    return found
