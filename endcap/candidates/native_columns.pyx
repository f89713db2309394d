# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Sessions as a `Crowd`, without a list of numbers for each: what `_in_python` of
`endcap.candidates.shopper` does, in a fraction of the time. Logarithms, powers and exponentials are
left to numpy, so that all numbers are the same to the last bit."""

from libc.stdint cimport int32_t, int64_t

import numpy as np

from endcap.candidates.features import CONTEXT
from endcap.events import EventType

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


def columns_of(sessions, const int64_t[::1] now_ms, dict index_of, int32_t n_items):
    """Of `Crowd`: `strange`, `history_at`, `history`, `types`, `times_ms`, `cart_at`, `cart`,
    `bought_at`, `bought`, `bought_count`, `bought_due`, `bought_ms`; then [M] how long ago that was
    (ms) and the decayed count as of then; then `context` [B, len(CONTEXT)] with counts and seconds
    for their logarithms."""
    cdef Py_ssize_t rows = len(sessions), row, at
    cdef Py_ssize_t events = 0, carted = 0, bought = 0, distinct, first
    cdef int64_t[::1] history_at, cart_at, bought_at, times_ms, last_ms
    cdef int32_t[::1] history, types, cart, item
    cdef float[::1] count, due
    cdef double[::1] decayed, since_ms
    cdef double[:, ::1] context
    cdef int64_t times, last, earliest, idle_ms
    cdef double gap_ms, ratio
    histories, carts, purchases = [], [], []
    ends = np.zeros((3, rows + 1), np.int64)
    history_at, cart_at, bought_at = ends
    for row in range(rows):
        session = sessions[row]
        histories.append(session.history)
        carts.append(session.cart)
        purchases.append(session.purchased)
        history_at[row + 1] = history_at[row] + len(histories[row])
        cart_at[row + 1] = cart_at[row] + len(carts[row])
        bought_at[row + 1] = bought_at[row] + len(purchases[row])
    history_of, types_of = np.empty((2, history_at[rows]), np.int32)
    times_ms_of = np.empty(history_at[rows], np.int64)
    cart_of, bought_of = np.empty(cart_at[rows], np.int32), np.empty(bought_at[rows], np.int32)
    last_of = np.empty(bought_at[rows], np.int64)
    count_of, due_of = np.empty((2, bought_at[rows]), np.float32)
    decayed_of, since_of = np.empty((2, bought_at[rows]), np.float64)
    context_of = np.zeros((rows, AROUND), np.float64)
    history, types, times_ms, cart, item = history_of, types_of, times_ms_of, cart_of, bought_of
    last_ms, count, due, decayed, since_ms = last_of, count_of, due_of, decayed_of, since_of
    context = context_of
    unknown = []
    for row in range(rows):
        strange = {}
        first, distinct = events, 0
        for past in histories[row]:
            history[events] = number(past.item_id, index_of, strange, n_items)
            types[events] = past.type_code
            times_ms[events] = past.timestamp_ms
            at = events - 1
            while at >= first and history[at] != history[events]:
                at -= 1
            distinct += at < first
            events += 1
        for name in carts[row]:
            cart[carted] = number(name, index_of, strange, n_items)
            carted += 1
        for past in purchases[row]:
            item[bought] = number(past.item_id, index_of, strange, n_items)
            times, last, earliest = past.times, past.last_ms, past.first_ms
            count[bought], last_ms[bought], decayed[bought] = times, last, past.decayed
            since_ms[bought] = now_ms[row] - last
            due[bought] = 0.0
            if times > 1:
                gap_ms = <double>(last - earliest) / <double>(times - 1)
                ratio = since_ms[bought] / (gap_ms if gap_ms > DAY_MS else <double>DAY_MS)
                due[bought] = min(max(ratio, 0.0), 4.0)
            bought += 1
        unknown.append(tuple(strange))
        context[row, LENGTH] = events - first
        context[row, BOUGHT] = len(purchases[row])
        context[row, CARTED] = len(carts[row])
        if events > first:
            context[row, DISTINCT] = <double>distinct / <double>(events - first)
            idle_ms = now_ms[row] - times_ms[events - 1]
            context[row, IDLE] = (idle_ms if idle_ms > 0 else 0) / 1000.0
            context[row, VIEWED_LAST] = types[events - 1] == VIEW
            context[row, CARTED_LAST] = types[events - 1] == ADD
            context[row, BOUGHT_LAST] = types[events - 1] == PURCHASE
    return (
        tuple(unknown), ends[0], history_of, types_of, times_ms_of, ends[1], cart_of, ends[2],
        bought_of, count_of, due_of, last_of, since_of, decayed_of, context_of,
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
