# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""`make_slate` of `endcap.policy` for many shoppers, with `away_of` of `endcap.repeats` and the
words of `endcap.reasons`, without an array for each step: the same lists, to the last digit
(tests/unit/test_native_slates.py). Only what is shown is told of, rounded and put into words.
"""

from libc.math cimport expm1, log, rint
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

import numpy as np

from endcap.candidates.features import BY_MODEL, FEATURES, GENERATED
from endcap.candidates.order cimport falling, lowest_first, sort
from endcap.lists import ListItem
from endcap.policy import LOOKED_AT
from endcap.reasons import HABIT, KEPT_UP, LONGEST_DAYS

cdef Py_ssize_t TIMES_BOUGHT = BY_MODEL + FEATURES.index("times_bought")
cdef Py_ssize_t RECENCY = BY_MODEL + FEATURES.index("bought_recency")
cdef Py_ssize_t DUE = BY_MODEL + FEATURES.index("due")
cdef Py_ssize_t FOLLOWING = BY_MODEL + FEATURES.index("following")
cdef Py_ssize_t TOGETHER = BY_MODEL + FEATURES.index("together")
cdef Py_ssize_t IN_HISTORY = BY_MODEL + FEATURES.index("in_history")
cdef Py_ssize_t FIRST_GENERATED = BY_MODEL + GENERATED
cdef Py_ssize_t BEHIND = BY_MODEL + len(FEATURES)
cdef int64_t HABIT_TIMES = HABIT
cdef double MOST_DAYS = LONGEST_DAYS, STOPPED = KEPT_UP
cdef Py_ssize_t LIKELY = LOOKED_AT

cdef enum:
    DIGITS = 10000  # of a score that is shown, four


cdef struct Bought:
    # By one shopper, in the order of when it was last bought.
    const int32_t *item
    const float *times
    const int64_t *last_ms
    Py_ssize_t n
    int64_t now_ms


cdef class Shelf:
    """`SoldItems` of `endcap.slates`: what is known without asking is not asked for."""

    cdef object at
    cdef tuple known
    cdef Py_ssize_t n

    def __init__(self, items):
        self.at, self.known, self.n = items.at, items.known, len(items.known)

    cdef inline item(self, strange, int32_t index):
        return self.known[index - 1] if index <= self.n else self.at(strange, index)


def slates_of(
    sessions, crowd, found, scored, items, policy, const int64_t[::1] waits_ms, dict pieces
):
    """The arguments of `endcap.slates.make_slates`, `pieces` of its `Messages`."""
    cdef const int32_t[::1] ids = scored.ids, bought = crowd.bought
    cdef const int32_t[::1] together = found.together_because, following = found.following_because
    cdef const float[::1] scores = scored.scores, times = crowd.bought_count
    cdef const float[:, ::1] told = found.told
    cdef const int64_t[::1] scored_at = scored.offsets, found_at = found.offsets
    cdef const int64_t[::1] bought_at = crowd.bought_at, bought_ms = crowd.bought_ms
    cdef const int64_t[::1] now_ms = crowd.now_ms
    cdef Py_ssize_t row, n, rank, in_order, first, place, at
    cdef Py_ssize_t size = policy.size, per_category = policy.per_category
    cdef int64_t just_bought_ms = policy.just_bought_ms
    cdef int32_t index
    cdef Shelf shelf = Shelf(items)
    cdef double score
    cdef uint64_t[::1] keys = np.empty(ids.shape[0] + 1, np.uint64)
    cdef Bought past
    cdef dict in_category
    cdef list slate
    slates = []
    for row in range(now_ms.shape[0]):
        session, strange = sessions[row], crowd.strange[row]
        past.n, past.now_ms = bought_at[row + 1] - bought_at[row], now_ms[row]
        past.item = &bought[0] + bought_at[row]
        past.times, past.last_ms = &times[0] + bought_at[row], &bought_ms[0] + bought_at[row]
        cart, fresh = frozenset(session.cart), just_bought(session, &past, just_bought_ms)
        first, n = scored_at[row], scored_at[row + 1] - scored_at[row]
        in_order = best_first(&keys[0], &scores[0] + first, n, LIKELY * size)
        slate, in_category = [], {}
        for rank in range(n):
            if rank == in_order:
                sort(&keys[rank], n - rank)
            place = keys[rank] & 0xFFFFFFFFU
            index = ids[first + place]
            if index == 0 or stays_away(index, &past, waits_ms):
                continue
            item = shelf.item(strange, index)
            item_id, category = item.item_id, item.category
            if not item.in_stock or item.stock == 0 or item_id in cart or item_id in fresh:
                continue
            if category:
                count = in_category.get(category, 0)
                if count >= per_category:
                    continue
                in_category[category] = count + 1
            at = found_at[row] + place
            if at < found_at[row + 1]:
                reason = why(
                    &told[at, 0], together[at], following[at], strange, category, shelf, pieces
                )
            else:
                reason = say(pieces, "similar")
            # A float times 10,000 is exact in double: what is rounded is the score itself.
            score = rint(scores[first + place] * <double>DIGITS) / DIGITS
            slate.append(ListItem(item_id, score, reason))
            if len(slate) == size:
                break
        slates.append(tuple(slate))
    return slates


cdef inline Py_ssize_t best_first(
    uint64_t *keys, const float *scores, Py_ssize_t n, Py_ssize_t likely
) noexcept:
    """Write a key for each score, its place in the lower half; returns how many of them, the
    highest scores, are in order."""
    cdef Py_ssize_t at
    for at in range(n):
        # As numpy sorts them: zeros are equal whatever their sign, and what is no number is last.
        keys[at] = falling(scores[at] + 0.0, <uint32_t>at)
        if scores[at] != scores[at]:
            keys[at] = <uint64_t>0xFFFFFFFFU << 32 | <uint64_t>at
    likely = min(n, likely)
    lowest_first(keys, n, likely)
    sort(keys, likely)
    return likely


cdef inline bint stays_away(int32_t index, Bought *past, const int64_t[::1] waits_ms) noexcept:
    """Bought once, and not long ago."""
    cdef Py_ssize_t at
    cdef int64_t wait_ms
    for at in range(past.n):
        if past.item[at] == index and past.times[at] == 1.0:
            wait_ms = waits_ms[index if index < waits_ms.shape[0] else 0]
            if past.now_ms - past.last_ms[at] < wait_ms:
                return True
    return False


cdef set just_bought(session, Bought *past, int64_t for_ms):
    """Ids of what was bought a moment ago for the first time."""
    cdef Py_ssize_t at = past.n
    cdef set fresh = set()
    while at > 0 and past.now_ms - past.last_ms[at - 1] < for_ms:
        at -= 1
        if past.times[at] == 1.0:
            fresh.add(session.purchased[at].item_id)
    return fresh


cdef inline str say(dict pieces, str name, value=""):
    return str(value).join(pieces[name])


cdef str why(
    const float *told, int32_t together, int32_t following, strange, category, Shelf shelf, dict pieces
):
    """What put a candidate there: the strongest evidence. `told`: its row of `Gathered.told`."""
    cdef Py_ssize_t column
    if told[TIMES_BOUGHT] > 0:
        return bought_before(told, pieces)
    if told[IN_HISTORY] > 0:
        return say(pieces, "looked_at")
    if together and told[TOGETHER] > 0:
        return say(pieces, "together", shelf.item(strange, together).title)
    if following and told[FOLLOWING] > 0:
        return say(pieces, "following", shelf.item(strange, following).title)
    for column in range(FIRST_GENERATED, BEHIND):
        if told[column] != 0:
            return say(pieces, "alike")
    return say(pieces, "popular_in", category) if category else say(pieces, "popular")


cdef str bought_before(const float *told, dict pieces):
    cdef int64_t times = <int64_t>rint(expm1(told[TIMES_BOUGHT])), days = 0
    cdef double gap_days, due = told[DUE], recency = told[RECENCY]
    if times == 1:
        return say(pieces, "bought_once")
    if times >= HABIT_TIMES and 0 < due < STOPPED and 0 < recency < 1:
        gap_days = -30.0 * log(recency) / due
        if gap_days <= MOST_DAYS:
            days = <int64_t>rint(gap_days)
    if not days:
        return say(pieces, "bought_times", times)
    return say(pieces, "bought_every", days) if days > 1 else say(pieces, "bought_daily")
