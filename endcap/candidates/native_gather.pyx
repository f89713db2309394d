# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""`gather_candidates` for many shoppers, without an array for each step.

The numbers are those of the generators in Python to the last bit: sums are added in the same
order, exponentials and logarithms are numpy's, and of equals the same one goes first
(tests/unit/test_native_gather.py). Scores lie in one array a generator with a place for each item;
what was touched is listed, and swept after each shopper. The GIL is free meanwhile.

One long file: calls across modules of C would cost what it saves. From the top: sums by item, the
indexes, past sessions in common, what they hold, the neighbours of items, the union, what is told
of each, all shoppers.
"""

from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np

from endcap.candidates.features import BY_MODEL, CONTEXT, FACTS, FEATURES, GENERATED, INPUTS
from endcap.candidates.order cimport falling, lowest_first, sort

cdef enum:
    TIMES_BOUGHT, BOUGHT_RECENCY, BOUGHT_SHARE, DECAYED_COUNT, DUE, GAP_KNOWN, DUE_AS_OTHERS
    RETURNS, IN_HISTORY, VIEWS, CARTS, HISTORY_RECENCY, HISTORY_TIME, LAST_VIEWED, LAST_CARTED
    LAST_BOUGHT, IN_CART, STAN, STAN_NEAR, VMIS_KNN, FOLLOWING, PRECEDING, TOGETHER, ALIKE
    WIDTH
    FIRST = 2  # of a row's columns, what the model says stands before it
    MANY = 7  # generators, whose scores have a share each
    KNOWN = 2  # facts of an item
    AROUND = 8  # numbers of the shopper's context
    STRIDE = 43

if (FIRST, MANY, KNOWN, AROUND, STRIDE) != (
    BY_MODEL, len(FEATURES) - GENERATED, len(FACTS), len(CONTEXT), len(INPUTS)
) or FEATURES != (
    "times_bought", "bought_recency", "bought_share", "decayed_count", "due", "gap_known",
    "due_as_others", "returns", "in_history", "views", "carts", "history_recency", "history_time",
    "last_viewed", "last_carted", "last_bought", "in_cart", "stan", "stan_near", "vmis_knn",
    "following", "preceding", "together", "alike",
):
    raise ImportError("native_gather.pyx fills other columns than endcap.candidates.INPUTS names")

cdef enum:
    NOBODY = -1
    NOT_POOLED = 0x7FFFFFFF
    COARSE = 52  # bits of a key that do not count where it is counted: an eighth of a score
    DAY_MS = 86400000


cdef struct Sums:
    # Of each item; 0 where nothing was said. `touched` lists the others, and has room for one more.
    double *of
    int32_t *touched
    Py_ssize_t n


cdef inline void say(Sums *sums, int32_t item, double weight) noexcept nogil:
    """`weight` above 0. Without a branch: half of the items are new, and no processor guesses
    which."""
    sums.touched[sums.n] = item
    sums.n += sums.of[item] == 0.0
    sums.of[item] += weight


cdef inline void sweep(Sums *sums) noexcept nogil:
    cdef Py_ssize_t at
    for at in range(sums.n):
        sums.of[sums.touched[at]] = 0.0
    sums.n = 0


cdef extern from *:
    void prefetch "__builtin_prefetch"(const void *) noexcept nogil


cdef enum:
    AHEAD = 8  # past sessions


cdef inline int32_t advanced(const int32_t **next, const int32_t *end) noexcept nogil:
    """What comes next, or `NOBODY` at the end."""
    if next[0] == end:
        return NOBODY
    next[0] += 1
    return next[0][-1]


cdef struct Recent:
    # Distinct items of a history, newest first, and how many events back they stand.
    int32_t *item
    int32_t *step
    Py_ssize_t n


cdef inline Py_ssize_t within(Recent *recent, Py_ssize_t length) noexcept nogil:
    """How many of them stand among the newest `length` events."""
    cdef Py_ssize_t n = recent.n
    while n > 0 and recent.step[n - 1] >= length:
        n -= 1
    return n


cdef struct Shopper:
    # One of the batch: pointers into its flat arrays.
    int64_t now_ms
    const int32_t *history
    const int32_t *types
    const int64_t *times_ms
    const float *faded  # exp(-days since the event)
    const float *logarithm  # log(1 + count)
    Py_ssize_t n_history
    const int32_t *cart
    Py_ssize_t n_cart
    const int32_t *bought
    const float *count
    const float *log_count
    const float *decayed
    const float *log_decayed
    const float *habit
    const float *due
    const float *recency
    const int64_t *bought_ms
    Py_ssize_t n_bought
    const float *context


cdef class NativeGather:
    """The indexes of one bundle, with room for one batch at a time: a call must end before the
    next begins. `generators`: of `endcap.candidates.generators`; `tables`: of
    `endcap.candidates.native_tables`; `facts` [V + 1, len(FACTS)]."""

    cdef const int32_t[::1] popular, session_items, item_sessions
    cdef const float[::1] returns_share, gap_days
    cdef const int64_t[::1] session_offsets, item_offsets
    cdef const int32_t[:, ::1] following_ids, preceding_ids, together_ids, alike_ids
    cdef const float[:, ::1] following_scores, preceding_scores, together_scores, alike_scores
    cdef const double[::1] stan_weight, stan_match, stan_away, stan_age
    cdef const double[::1] near_weight, near_match, near_away, near_age
    cdef const double[:, ::1] vmis_weight
    cdef const double[::1] vmis_match, alike_fade
    cdef const float[::1] vmis_idf, fade
    cdef const float[:, ::1] facts
    cdef Py_ssize_t stan_length, stan_sample, stan_neighbours, near_neighbours
    cdef Py_ssize_t vmis_length, vmis_sample, vmis_neighbours
    cdef Py_ssize_t recent_length, alike_length, named, max_bought, max_candidates
    cdef int add_code, purchase_code

    cdef int32_t n_items
    cdef Py_ssize_t room
    cdef Sums stan, near, vmis, alike
    cdef Recent recent, seen
    cdef int32_t *habit  # places of what was bought, the strongest habits first
    cdef Py_ssize_t habits
    cdef int32_t *pool
    cdef Py_ssize_t pooled
    cdef int32_t *place_of  # the lowest in a source; NOT_POOLED outside the pool
    cdef int32_t *row_of  # among the candidates; NOBODY for others
    cdef uint64_t *keys
    cdef Py_ssize_t keys_room
    cdef int32_t *counted
    cdef int32_t *in_common
    cdef int32_t *newest
    cdef double *near_similarity
    cdef double *similarity
    cdef double *ranked
    cdef int32_t *is_near
    cdef int32_t *heads
    cdef const int32_t **next
    cdef const int32_t **ends
    cdef double *last_ms
    cdef float *loudest
    cdef list held

    def __init__(self, generators, tables, facts):
        sessions = generators.sessions
        self.held = []
        self.facts = facts
        self.n_items = generators.popularity.size - 1
        self.popular = generators.popular
        self.returns_share = generators.returns.share
        self.gap_days = generators.returns.gap_days
        self.session_offsets = sessions.session_offsets
        self.session_items = sessions.session_items
        self.item_offsets, self.item_sessions = sessions.item_offsets, sessions.item_sessions
        self.following_ids, self.following_scores = generators.following
        self.preceding_ids, self.preceding_scores = generators.preceding
        self.together_ids, self.together_scores = generators.together
        self.alike_ids, self.alike_scores = generators.alike
        self.stan_weight, self.stan_match = tables.stan.weight, tables.stan.match
        self.stan_away, self.stan_age = tables.stan.away, tables.stan.age
        self.near_weight, self.near_match = tables.near.weight, tables.near.match
        self.near_away, self.near_age = tables.near.away, tables.near.age
        self.stan_length, self.stan_sample = tables.stan.length, tables.stan.sample
        self.stan_neighbours, self.near_neighbours = tables.stan.neighbours, tables.near.neighbours
        self.vmis_weight, self.vmis_match = tables.vmis_weight, tables.vmis_match
        self.vmis_idf, self.vmis_length = tables.vmis_idf, tables.vmis_length
        self.vmis_sample, self.vmis_neighbours = tables.vmis_sample, tables.vmis_neighbours
        self.fade, self.recent_length = tables.fade, tables.recent_length
        self.alike_fade, self.alike_length = tables.alike_fade, tables.alike_length
        self.named, self.max_bought = tables.named, tables.max_bought
        self.max_candidates = tables.max_candidates
        self.add_code, self.purchase_code = tables.add_code, tables.purchase_code
        if not tables.near.length == self.stan_length or not tables.near.sample == self.stan_sample:
            raise ValueError("STAN's two weightings are of the same past sessions")
        sample = max(self.stan_sample, self.vmis_sample)
        self.in_common = <int32_t *>self.hold(np.zeros(sample, np.int32))
        self.newest = <int32_t *>self.hold(np.zeros(sample, np.int32))
        self.similarity = <double *>self.hold(np.zeros(sample))
        self.near_similarity = <double *>self.hold(np.zeros(sample))
        self.ranked = <double *>self.hold(np.zeros(sample))
        self.is_near = <int32_t *>self.hold(np.zeros(sample, np.int32))
        self.loudest = <float *>self.hold(np.zeros(self.max_candidates, np.float32))
        self.last_ms = <double *>self.hold(np.zeros(self.max_candidates))
        self.counted = <int32_t *>self.hold(np.zeros(1 << (64 - COARSE), np.int32))
        self.make_room(0, 0)

    cdef void *hold(self, array):
        """The address of an array that lives as long as this does."""
        self.held.append(array)
        cdef size_t address = array.ctypes.data
        return <void *>address

    cdef make_room(self, Py_ssize_t strange, Py_ssize_t longest):
        """For shoppers with so many items of their own, and so long a history or list of what was
        bought."""
        wide = self.n_items + 1 + max(strange, 1024)
        if wide > self.room:
            self.room = wide
            for sums in range(4):
                self.renew(sums)
            self.place_of = <int32_t *>self.hold(np.full(wide, NOT_POOLED, np.int32))
            self.row_of = <int32_t *>self.hold(np.full(wide, NOBODY, np.int32))
            self.pool = <int32_t *>self.hold(np.zeros(wide, np.int32))
        most = max(
            longest,
            self.stan_sample,
            self.recent_length
            * max(
                self.following_ids.shape[1],
                self.preceding_ids.shape[1],
                self.together_ids.shape[1],
            ),
            self.room,
        )
        if most > self.keys_room:
            self.keys_room = most
            self.keys = <uint64_t *>self.hold(np.zeros(most, np.uint64))
            self.recent.item = <int32_t *>self.hold(np.zeros(most, np.int32))
            self.recent.step = <int32_t *>self.hold(np.zeros(most, np.int32))
            self.habit = <int32_t *>self.hold(np.zeros(most, np.int32))
            self.seen.item = <int32_t *>self.hold(np.zeros(most, np.int32))
            self.seen.step = <int32_t *>self.hold(np.zeros(most, np.int32))
            self.heads = <int32_t *>self.hold(np.zeros(most, np.int32))
            self.next = <const int32_t **>self.hold(np.zeros(most, np.uint64))
            self.ends = <const int32_t **>self.hold(np.zeros(most, np.uint64))

    cdef renew(self, int number):
        cdef Sums sums
        sums.of = <double *>self.hold(np.zeros(self.room))
        sums.touched = <int32_t *>self.hold(np.zeros(self.room, np.int32))
        sums.n = 0
        if number == 0:
            self.stan = sums
        elif number == 1:
            self.near = sums
        elif number == 2:
            self.vmis = sums
        else:
            self.alike = sums

    cdef Py_ssize_t sessions_in_common(
        self, Py_ssize_t n, Py_ssize_t sample, const double *weight, const double *near_weight
    ) noexcept nogil:
        """The `sample` newest sessions with one of the `n` newest items: merged from lists that
        stand newest first. `weight` by the item's place, or by its step if `near_weight` is given
        too."""
        cdef Py_ssize_t at, found = 0, newest
        cdef int32_t item, session
        cdef double summed, summed_near
        # By names of their own: what is written might be these pointers, for all that C knows.
        cdef const int32_t *steps = self.recent.step
        cdef int32_t *heads = self.heads
        cdef const int32_t **following = self.next
        cdef const int32_t **ends = self.ends
        for at in range(n):
            item = self.recent.item[at]
            following[at] = &self.item_sessions[0] + self.item_offsets[item]
            ends[at] = following[at] + min(
                sample, self.item_offsets[item + 1] - self.item_offsets[item]
            )
            heads[at] = advanced(&following[at], ends[at])
        while found < sample:
            session = NOBODY
            for at in range(n):
                session = heads[at] if heads[at] > session else session
            if session == NOBODY:
                break
            summed = summed_near = 0.0
            newest = NOBODY
            for at in range(n):
                if heads[at] == session:
                    heads[at] = advanced(&following[at], ends[at])
                    newest = at if newest == NOBODY else newest
                    summed += weight[steps[at]]
                    if near_weight != NULL:
                        summed_near += near_weight[steps[at]]
            self.newest[found] = <int32_t>newest
            self.in_common[found] = session
            self.similarity[found] = summed
            self.near_similarity[found] = summed_near
            found += 1
        return found

    cdef double least_of_best(
        self, const double *similarity, Py_ssize_t n, Py_ssize_t wanted
    ) noexcept nogil:
        """What the `wanted` most similar reach at least; of equals the newer is more similar."""
        cdef Py_ssize_t at
        cdef double least
        for at in range(n):
            # The sessions stand newest first here, oldest first in `best_sessions`.
            self.ranked[at] = similarity[at] + (n - 1 - at) * 1e-9
        if n <= wanted:
            return -1.0
        for at in range(n):
            memcpy(&self.keys[at], &self.ranked[at], sizeof(double))
            self.keys[at] = ~self.keys[at]
        lowest_first(self.keys, n, wanted)
        cdef uint64_t highest = 0
        for at in range(wanted):
            if self.keys[at] > highest:
                highest = self.keys[at]
        highest = ~highest
        memcpy(&least, &highest, sizeof(double))
        return least

    cdef void say_by_stan(self, Py_ssize_t n) noexcept nogil:
        """Both weightings of the same past sessions, each of which is read once."""
        cdef Py_ssize_t back, first, end, place
        cdef int32_t session, item, step
        cdef bint heard, heard_near
        cdef double least, size
        for back in range(n):
            session = self.in_common[back]
            size = sqrt(
                <double>(self.session_offsets[session + 1] - self.session_offsets[session])
            )
            self.similarity[back] /= size
            self.near_similarity[back] /= size
        least = self.least_of_best(self.near_similarity, n, self.near_neighbours)
        for back in range(n):
            self.is_near[back] = self.ranked[back] >= least
        least = self.least_of_best(self.similarity, n, self.stan_neighbours)
        for back in range(n - 1, -1, -1):
            # Past sessions lie all over memory.
            if back >= AHEAD:
                prefetch(&self.session_items[self.session_offsets[self.in_common[back - AHEAD]]])
            step = self.recent.step[self.newest[back]]
            heard = self.ranked[back] >= least and step < self.stan_match.shape[0]
            heard_near = self.is_near[back] and step < self.near_match.shape[0]
            if not (heard or heard_near):
                continue
            session, item = self.in_common[back], self.recent.item[self.newest[back]]
            first, end = self.session_offsets[session], self.session_offsets[session + 1]
            place = first
            while self.session_items[place] != item:
                place += 1
            if heard:
                self.say_around(
                    &self.stan,
                    self.similarity[back] * (self.stan_age[session] * self.stan_match[step]),
                    first, place, end, self.stan_away,
                )
            if heard_near:
                self.say_around(
                    &self.near,
                    self.near_similarity[back] * (self.near_age[session] * self.near_match[step]),
                    first, place, end, self.near_away,
                )

    cdef inline void say_around(
        self, Sums *sums, double said, Py_ssize_t first, Py_ssize_t place, Py_ssize_t end,
        const double[::1] away,
    ) noexcept nogil:
        cdef Py_ssize_t at, reach = away.shape[0]
        cdef const int32_t *items = &self.session_items[0]
        cdef const double *fading = &away[0]
        cdef Sums own = sums[0]
        for at in range(max(first, place - reach + 1), place):
            say(&own, items[at], said * fading[place - at])
        for at in range(place, min(end, place + reach)):
            say(&own, items[at], said * fading[at - place])
        sums.n = own.n

    cdef void say_by_vmis(self, Py_ssize_t n_history) noexcept nogil:
        cdef Py_ssize_t spoken = min(max(n_history, 1), self.vmis_length)
        cdef Py_ssize_t n, back, at
        cdef int32_t session
        cdef double least, said
        n = self.sessions_in_common(
            within(&self.recent, self.vmis_length),
            self.vmis_sample,
            &self.vmis_weight[spoken, 0],
            NULL,
        )
        least = self.least_of_best(self.similarity, n, self.vmis_neighbours)
        for back in range(n - 1, -1, -1):
            if self.ranked[back] < least:
                continue
            session = self.in_common[back]
            said = self.similarity[back] * self.vmis_match[self.recent.step[self.newest[back]]]
            for at in range(self.session_offsets[session], self.session_offsets[session + 1]):
                say(
                    &self.vmis,
                    self.session_items[at],
                    said * self.vmis_idf[self.session_items[at]],
                )

    cdef void say_by_alike(self) noexcept nogil:
        cdef Py_ssize_t at, place, keep = self.alike_ids.shape[1]
        cdef int32_t item
        cdef double weight
        for at in range(within(&self.recent, self.alike_length)):
            item, weight = self.recent.item[at], self.alike_fade[self.recent.step[at]]
            for place in range(keep):
                if self.alike_scores[item, place] > 0.0:
                    say(
                        &self.alike,
                        self.alike_ids[item, place],
                        self.alike_scores[item, place] * weight,
                    )

    cdef void name(self, int32_t item, Py_ssize_t place) noexcept nogil:
        """Put an item into the pool, at its best place in any source."""
        if self.place_of[item] == NOT_POOLED:
            self.pool[self.pooled] = item
            self.pooled += 1
            self.place_of[item] = <int32_t>place
        elif place < self.place_of[item]:
            self.place_of[item] = <int32_t>place

    cdef void name_best(self, Sums *sums) noexcept nogil:
        """Counted by the first bits of their scores, most are seen not to be among the best."""
        cdef Py_ssize_t at, n = 0, wanted = min(self.named, sums.n)
        cdef uint64_t key
        cdef uint32_t last = 0
        for at in range(sums.n):
            key = falling(<float>sums.of[sums.touched[at]], sums.touched[at])
            self.keys[at] = key
            self.counted[key >> COARSE] += 1
        at = 0
        while at < wanted:
            at += self.counted[last]
            last += 1
        memset(self.counted, 0, (1 << (64 - COARSE)) * sizeof(int32_t))
        for at in range(sums.n):
            key = self.keys[at]
            self.keys[n] = key
            n += (key >> COARSE) < last
        lowest_first(self.keys, n, wanted)
        sort(self.keys, wanted)
        for at in range(wanted):
            self.name(<int32_t>(self.keys[at] & 0xFFFFFFFFU), at)

    cdef void name_spoken(
        self, const int32_t[:, ::1] ids, const float[:, ::1] scores
    ) noexcept nogil:
        """What the newest items name, one by one: sums come later."""
        cdef Py_ssize_t at, place, n = 0, keep = ids.shape[1], wanted
        cdef int32_t item
        cdef float fade
        for at in range(within(&self.recent, self.recent_length)):
            item, fade = self.recent.item[at], self.fade[self.recent.step[at]]
            for place in range(keep):
                self.keys[n] = falling(scores[item, place] * fade, <uint32_t>n)
                n += 1
        wanted = min(self.named, n)
        lowest_first(self.keys, n, wanted)
        sort(self.keys, wanted)
        for at in range(wanted):
            n = <Py_ssize_t>(self.keys[at] & 0xFFFFFFFFU)
            item = ids[self.recent.item[n // keep], n % keep]
            if item != 0:
                self.name(item, at)

    cdef void look_back(self, Shopper *shopper, bint known, Recent *found) noexcept nogil:
        """Distinct items, newest first; of `known` those alone that the model knows."""
        cdef Py_ssize_t step, n = 0
        cdef int32_t item
        for step in range(shopper.n_history):
            item = shopper.history[shopper.n_history - 1 - step]
            if item == 0 or (known and item > self.n_items) or self.row_of[item] != NOBODY:
                continue
            self.row_of[item] = 0
            found.item[n], found.step[n] = item, <int32_t>step
            n += 1
        for step in range(n):
            self.row_of[found.item[step]] = NOBODY
        found.n = n

    cdef Py_ssize_t union(self, Shopper *shopper) noexcept nogil:
        """What all sources name, cut to those that stand first in one of them; returns how many
        are left, ascending in `keys`."""
        cdef Py_ssize_t at, n, wanted
        n = self.sessions_in_common(
            within(&self.recent, self.stan_length),
            self.stan_sample,
            &self.stan_weight[0],
            &self.near_weight[0],
        )
        self.say_by_stan(n)
        self.say_by_vmis(shopper.n_history)
        self.say_by_alike()
        for at in range(self.seen.n):
            self.name(self.seen.item[at], at)
        self.name_best(&self.stan)
        self.name_best(&self.near)
        self.name_best(&self.vmis)
        self.name_spoken(self.following_ids, self.following_scores)
        self.name_spoken(self.preceding_ids, self.preceding_scores)
        self.name_spoken(self.together_ids, self.together_scores)
        self.name_best(&self.alike)
        for at in range(self.popular.shape[0]):
            self.name(self.popular[at], at)
        wanted = min(self.max_bought, shopper.n_bought)
        for at in range(shopper.n_bought):
            self.keys[at] = falling(shopper.habit[at], <uint32_t>at)
        lowest_first(self.keys, shopper.n_bought, wanted)
        sort(self.keys, wanted)
        for at in range(wanted):
            self.habit[at] = <int32_t>(self.keys[at] & 0xFFFFFFFFU)
            self.name(shopper.bought[self.habit[at]], at)
        self.habits = wanted
        for at in range(self.pooled):
            self.keys[at] = (<uint64_t>self.place_of[self.pool[at]]) << 32 | <uint32_t>self.pool[at]
        wanted = min(self.max_candidates, self.pooled)
        lowest_first(self.keys, self.pooled, wanted)
        for at in range(wanted):
            self.keys[at] &= 0xFFFFFFFFU
        sort(self.keys, wanted)
        for at in range(self.pooled):
            self.place_of[self.pool[at]] = NOT_POOLED
        self.pooled = 0
        return wanted

    cdef void tell(
        self, Shopper *shopper, Py_ssize_t n, const int32_t *ids, float *features
    ) noexcept nogil:
        cdef Py_ssize_t at, row, bought
        cdef int32_t item
        cdef float *told
        cdef float largest = 0.0
        cdef double days
        cdef int code
        for at in range(shopper.n_bought):
            if shopper.decayed[at] > largest:
                largest = shopper.decayed[at]
        for at in range(self.habits):
            bought = self.habit[at]
            row = self.row_of[shopper.bought[bought]]
            if row == NOBODY:
                continue
            told = features + row * STRIDE
            told[TIMES_BOUGHT] = shopper.log_count[bought]
            told[BOUGHT_RECENCY] = shopper.recency[bought]
            told[BOUGHT_SHARE] = shopper.decayed[bought] / largest
            told[DECAYED_COUNT] = shopper.log_decayed[bought]
            told[DUE] = shopper.due[bought]
            told[GAP_KNOWN] = shopper.count[bought] > 1
        for at in range(self.seen.n):
            row = self.row_of[self.seen.item[at]]
            if row == NOBODY:
                continue
            told = features + row * STRIDE
            bought = shopper.n_history - 1 - self.seen.step[at]
            code = shopper.types[bought]
            told[HISTORY_RECENCY] = <float>(1.0 / (1.0 + self.seen.step[at]))
            told[HISTORY_TIME] = shopper.faded[bought]
            told[LAST_VIEWED] = code != self.add_code and code != self.purchase_code
            told[LAST_CARTED] = code == self.add_code
            told[LAST_BOUGHT] = code == self.purchase_code
        for row in range(n):
            self.last_ms[row] = -INFINITY
        for at in range(shopper.n_history):
            row = self.row_of[shopper.history[at]]
            if row == NOBODY:
                continue
            told = features + row * STRIDE
            code = shopper.types[at]
            # Counts first; their logarithms when all are there.
            told[IN_HISTORY] += 1
            told[CARTS] += code == self.add_code
            told[VIEWS] += code != self.add_code and code != self.purchase_code
            if shopper.times_ms[at] > self.last_ms[row]:
                self.last_ms[row] = <double>shopper.times_ms[at]
        for at in range(self.seen.n):
            row = self.row_of[self.seen.item[at]]
            if row != NOBODY:
                told = features + row * STRIDE
                told[IN_HISTORY] = shopper.logarithm[<Py_ssize_t>told[IN_HISTORY]]
                told[CARTS] = shopper.logarithm[<Py_ssize_t>told[CARTS]]
                told[VIEWS] = shopper.logarithm[<Py_ssize_t>told[VIEWS]]
        for at in range(shopper.n_cart):
            row = self.row_of[shopper.cart[at]]
            if row != NOBODY:
                features[row * STRIDE + IN_CART] = 1.0
        for at in range(shopper.n_bought):
            row = self.row_of[shopper.bought[at]]
            if row != NOBODY:
                self.last_ms[row] = <double>shopper.bought_ms[at]
        for row in range(n):
            # Row 0 is what is thought of an item that nobody has met.
            item = ids[row] if ids[row] <= self.n_items else 0
            told = features + row * STRIDE
            told[RETURNS] = self.returns_share[item]
            days = <double>shopper.now_ms - self.last_ms[row]
            if days < 0.0:
                days = 0.0
            days = days / <double>DAY_MS / self.gap_days[item]
            if days < INFINITY:
                told[DUE_AS_OTHERS] = <float>(days if days < 4.0 else 4.0)
            item = ids[row]
            told[STAN] = <float>self.stan.of[item]
            told[STAN_NEAR] = <float>self.near.of[item]
            told[VMIS_KNN] = <float>self.vmis.of[item]
            told[ALIKE] = <float>self.alike.of[item]

    cdef void spread(
        self,
        const int32_t[:, ::1] ids,
        const float[:, ::1] scores,
        Py_ssize_t n,
        float *column,
        int32_t *because,
    ) noexcept nogil:
        """Sum each neighbour's score into its candidate, and note the loudest recent item."""
        cdef Py_ssize_t at, place, row
        cdef int32_t item
        cdef float fade, score
        for row in range(n):
            self.loudest[row] = -1.0
        for at in range(within(&self.recent, self.recent_length)):
            item, fade = self.recent.item[at], self.fade[self.recent.step[at]]
            for place in range(ids.shape[1]):
                if ids[item, place] == 0:
                    continue
                row = self.row_of[ids[item, place]]
                if row == NOBODY:
                    continue
                score = scores[item, place] * fade
                column[row * STRIDE] += score
                if because != NULL and score >= self.loudest[row]:
                    self.loudest[row] = score
                    because[row] = item

    cdef void finish(
        self, Shopper *shopper, Py_ssize_t n, const int32_t *ids, float *features
    ) noexcept nogil:
        """What follows from the features, the item and the shopper."""
        cdef Py_ssize_t row, column
        cdef float[MANY] most
        cdef float *told
        for column in range(MANY):
            most[column] = 1e-6
        for row in range(n):
            told = features + row * STRIDE + STAN
            for column in range(MANY):
                most[column] = told[column] if told[column] > most[column] else most[column]
        for row in range(n):
            told = features + row * STRIDE + STAN
            for column in range(MANY):
                told[MANY + column] = told[column] / most[column]
            told += 2 * MANY
            memcpy(
                told,
                &self.facts[ids[row] if ids[row] <= self.n_items else 0, 0],
                KNOWN * sizeof(float),
            )
            memcpy(told + KNOWN, shopper.context, AROUND * sizeof(float))

    cdef Py_ssize_t one(
        self,
        Shopper *shopper,
        int32_t *ids,
        float *features,
        int32_t *following_because,
        int32_t *together_because,
    ) noexcept nogil:
        """Write one shopper's candidates; returns how many."""
        cdef Py_ssize_t n, at
        self.look_back(shopper, False, &self.seen)
        self.look_back(shopper, True, &self.recent)
        n = self.union(shopper)
        memset(features - FIRST, 0, n * STRIDE * sizeof(float))
        memset(following_because, 0, n * sizeof(int32_t))
        memset(together_because, 0, n * sizeof(int32_t))
        for at in range(n):
            ids[at] = <int32_t>self.keys[at]
            self.row_of[ids[at]] = <int32_t>at
        self.tell(shopper, n, ids, features)
        self.spread(
            self.following_ids, self.following_scores, n, features + FOLLOWING, following_because
        )
        self.spread(self.preceding_ids, self.preceding_scores, n, features + PRECEDING, NULL)
        self.spread(
            self.together_ids, self.together_scores, n, features + TOGETHER, together_because
        )
        self.finish(shopper, n, ids, features)
        for at in range(n):
            self.row_of[ids[at]] = NOBODY
        sweep(&self.stan)
        sweep(&self.near)
        sweep(&self.vmis)
        sweep(&self.alike)
        return n

    def gather(self, crowd, derived):
        """Candidates of all shoppers of a `Crowd`: the fields of `Gathered`."""
        cdef const int64_t[::1] now_ms = crowd.now_ms, times_ms = crowd.times_ms
        cdef const int64_t[::1] history_at = crowd.history_at, cart_at = crowd.cart_at
        cdef const int64_t[::1] bought_at = crowd.bought_at, bought_ms = crowd.bought_ms
        cdef const int32_t[::1] history = crowd.history, types = crowd.types, cart = crowd.cart
        cdef const int32_t[::1] bought = crowd.bought
        cdef const float[::1] count = crowd.bought_count, decayed = crowd.bought_decayed
        cdef const float[::1] due = crowd.bought_due, recency = crowd.bought_recency
        cdef const float[::1] faded = derived.faded, logarithm = derived.logarithm
        cdef const float[::1] log_count = derived.log_count, habit = derived.habit
        cdef const float[::1] log_decayed = derived.log_decayed
        cdef Py_ssize_t rows = now_ms.shape[0], row, n = 0
        cdef Shopper shopper
        most_strange = max(len(names) for names in crowd.strange)
        self.make_room(most_strange, max(history.shape[0], bought.shape[0]))
        ids_of = np.empty(rows * self.max_candidates, np.int32)
        told_of = np.empty((rows * self.max_candidates, STRIDE), np.float32)
        following_of = np.empty(rows * self.max_candidates, np.int32)
        together_of = np.empty(rows * self.max_candidates, np.int32)
        offsets_of = np.zeros(rows + 1, np.int64)
        cdef int32_t[::1] ids = ids_of, following = following_of, together = together_of
        cdef float[:, ::1] told = told_of
        cdef const float[:, ::1] context = crowd.context
        cdef int64_t[::1] offsets = offsets_of
        with nogil:
            for row in range(rows):
                shopper.now_ms = now_ms[row]
                shopper.context = &context[row, 0]
                shopper.logarithm = &logarithm[0]
                shopper.history = &history[0] + history_at[row]
                shopper.types = &types[0] + history_at[row]
                shopper.times_ms = &times_ms[0] + history_at[row]
                shopper.faded = &faded[0] + history_at[row]
                shopper.n_history = history_at[row + 1] - history_at[row]
                shopper.cart = &cart[0] + cart_at[row]
                shopper.n_cart = cart_at[row + 1] - cart_at[row]
                shopper.bought = &bought[0] + bought_at[row]
                shopper.count = &count[0] + bought_at[row]
                shopper.log_count = &log_count[0] + bought_at[row]
                shopper.decayed = &decayed[0] + bought_at[row]
                shopper.log_decayed = &log_decayed[0] + bought_at[row]
                shopper.habit = &habit[0] + bought_at[row]
                shopper.due = &due[0] + bought_at[row]
                shopper.recency = &recency[0] + bought_at[row]
                shopper.bought_ms = &bought_ms[0] + bought_at[row]
                shopper.n_bought = bought_at[row + 1] - bought_at[row]
                n += self.one(
                    &shopper, &ids[0] + n, &told[0, 0] + n * STRIDE + FIRST, &following[0] + n,
                    &together[0] + n,
                )
                offsets[row + 1] = n
        return ids_of[:n], told_of[:n], following_of[:n], together_of[:n], offsets_of
