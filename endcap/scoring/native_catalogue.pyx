# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""`look` of `endcap.scoring.catalogue` for many shoppers: the nearest items without a sort of the
catalogue, and the sum of its exponentials beside it.

The nearest `own` are found by the highest of each 32 cosines: the `own`-th highest of these is a
bound that few others reach. So that items which are alike, or alike in frequency, do not share a
block, neighbours in the table lie a block apart here. Cosines and exponentials differ from numpy's
in the last digits.
"""

from libc.math cimport logf
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np

from endcap.candidates.features import BY_MODEL, CONTEXT, FACTS, INPUTS
from endcap.candidates.order cimport falling, lowest_first
from endcap.scoring.across cimport ACROSS  # brings its C along
from endcap.scoring.aligned import on_lines
from endcap.scoring.catalogue import LEAST

cdef extern from *:
    """
    #define LANES ACROSS
    #define ABREAST 4
    #define PANEL (LANES * ABREAST)
    #define DEPTH 32
    #define CHUNK (LANES * DEPTH)
    typedef across lanes;
    typedef across_bits masks;

    static inline lanes higher(lanes one, lanes other) {
        masks is_one = one > other;
        return (lanes)(((masks)one & is_one) | ((masks)other & ~is_one));
    }

    /* Cosines of `n` queries [n, dim] with the items of `panels`: each holds 64 items, one
       dimension after the other, and stays in the first cache while all queries pass it. Beside
       them the highest of blocks: of query q, highest[(q * chunks + chunk) * LANES + lane] is of the
       cosines at q * stride + chunk * CHUNK + step * LANES + lane. */
    FOR_EACH_WIDTH
    static void cosines_and_highest(
        const float *queries, Py_ssize_t n, Py_ssize_t dim, const float *panels, Py_ssize_t chunks,
        float *cosines, Py_ssize_t stride, float *highest
    ) {
        for (Py_ssize_t at = 0; at < chunks * CHUNK; at += PANEL) {
            const float *panel = panels + at * dim;
            Py_ssize_t block = at / CHUNK * LANES;
            for (Py_ssize_t from = 0; from < n; from += ABREAST) {
                const float *asked[ABREAST];
                lanes sums[ABREAST][ABREAST] = {0};
                for (int q = 0; q < ABREAST; q++)
                    asked[q] = queries + (from + q < n ? from + q : n - 1) * dim;
                for (Py_ssize_t k = 0; k < dim; k++) {
                    const lanes *items = (const lanes *)(panel + k * PANEL);
                    lanes a = items[0], b = items[1], c = items[2], d = items[3];
                    for (int q = 0; q < ABREAST; q++) {
                        float weight = asked[q][k];
                        sums[q][0] += a * weight;
                        sums[q][1] += b * weight;
                        sums[q][2] += c * weight;
                        sums[q][3] += d * weight;
                    }
                }
                for (int q = 0; q < ABREAST && from + q < n; q++) {
                    lanes *written = (lanes *)(cosines + (from + q) * stride + at);
                    lanes *most = (lanes *)(highest + (from + q) * chunks * LANES + block);
                    for (int each = 0; each < ABREAST; each++) written[each] = sums[q][each];
                    lanes now = higher(
                        higher(sums[q][0], sums[q][1]), higher(sums[q][2], sums[q][3])
                    );
                    *most = at % CHUNK ? higher(*most, now) : now;
                }
            }
        }
    }

    /* Of exp((cosine - top) * temperature): 2 to a whole number, by the bits of the exponent, times
       2 to the rest, by a polynomial of the fifth degree (7e-8 off); below 2^-126 nothing. */
    FOR_EACH_WIDTH
    static float sum_of_exponentials(
        const float *cosines, Py_ssize_t n, float temperature, float top
    ) {
        lanes sums = {0}, least = {0};
        float slope = temperature * 1.44269504f, base = top * slope;
        least -= 126.0f;
        for (Py_ssize_t from = 0; from < n; from += LANES) {
            lanes power = *(const lanes *)(cosines + from) * slope - base;
            masks is_something = power > least;
            lanes shifted = power + 12582912.0f;
            lanes rest = power - (shifted - 12582912.0f);
            lanes two = rest * 1.3276466793e-3f + 9.6755412930e-3f;
            two = two * rest + 5.5507132896e-2f;
            two = two * rest + 2.4022119725e-1f;
            two = two * rest + 6.9314696705e-1f;
            two = two * rest + 1.0000000717f;
            sums += (lanes)(((masks)two + ((masks)shifted << 23)) & is_something);
        }
        return across_sum(sums);
    }

    /* A number that at least `wanted` of x [n] reach, and seldom many more: by halves. */
    FOR_EACH_WIDTH
    static float reached_by(const float *x, Py_ssize_t n, Py_ssize_t wanted) {
        float low = -2.0f, high = 2.0f;
        for (int step = 0; step < 24; step++) {
            float middle = (low + high) / 2;
            masks reach = {0};
            for (Py_ssize_t from = 0; from < n; from += LANES)
                reach -= *(const lanes *)(x + from) >= middle;
            int32_t count = 0;
            for (int lane = 0; lane < LANES; lane++) count += reach[lane];
            if (count < wanted) high = middle;
            else {
                low = middle;
                if (count <= wanted + wanted / 8) break;
            }
        }
        return low;
    }

    /* Where cosines [n] are at least `least`; returns how many. Two registers give a bit a lane. */
    FOR_EACH_WIDTH
    static Py_ssize_t places_of(const float *cosines, Py_ssize_t n, float least, int32_t *places) {
        Py_ssize_t found = 0;
        masks one, other;
        for (int lane = 0; lane < LANES; lane++) {
            one[lane] = 1 << lane;
            other[lane] = (int32_t)(1U << (lane + LANES));
        }
        for (Py_ssize_t at = 0; at < n; at += 2 * LANES) {
            const lanes *both = (const lanes *)(cosines + at);
            uint32_t bits = across_any(
                ((both[0] >= least) & one) | ((both[1] >= least) & other)
            );
            for (; bits; bits &= bits - 1)
                places[found++] = (int32_t)(at + __builtin_ctz(bits));
        }
        return found;
    }
    """
    void cosines_and_highest(
        const float *, Py_ssize_t, Py_ssize_t, const float *, Py_ssize_t, float *, Py_ssize_t,
        float *
    ) noexcept nogil
    float reached_by(const float *, Py_ssize_t, Py_ssize_t) noexcept nogil
    float sum_of_exponentials(const float *, Py_ssize_t, float, float) noexcept nogil
    Py_ssize_t places_of(const float *, Py_ssize_t, float, int32_t *) noexcept nogil
    void prefetch "__builtin_prefetch"(const void *, int) noexcept nogil

cdef enum:
    LANES = 16
    DEPTH = 32
    CHUNK = 512
    PANEL = 64
    TOGETHER = 32  # shoppers whose cosines lie in the cache at once
    APART = 80  # numbers between two rows of cosines, which would share a cache's sets else
    AHEAD = 8  # candidates

cdef Py_ssize_t WIDTH = len(INPUTS)
cdef Py_ssize_t KNOWN = len(FACTS)
cdef Py_ssize_t AROUND = len(CONTEXT)
if BY_MODEL != 2:
    raise ImportError("native_catalogue.pyx says two things of an item")
cdef float NOTHING = LEAST
cdef float NOWHERE = -3.0  # below every cosine


cdef class NativeCatalogue:
    """With room for one batch at a time: what `look` gave is overwritten by its next call.
    `table` [V + 1, d]: normalised; `facts` [V + 1, len(FACTS)]."""

    cdef const float[:, ::1] facts
    cdef Py_ssize_t n_items, chunks
    cdef Py_ssize_t dim
    cdef object told_of, ids_of
    cdef float[::1] panels
    cdef float[:, ::1] cosines, highest
    cdef uint64_t[::1] keys
    cdef int32_t[::1] places, place, item
    cdef uint8_t[::1] marked

    def __init__(self, table, facts):
        self.facts = facts
        self.n_items, self.dim = facts.shape[0] - 1, table.shape[1]
        self.chunks = (self.n_items + CHUNK) // CHUNK
        rows = self.chunks * CHUNK
        item = np.arange(rows, dtype=np.int32)
        self.place = item % self.chunks * CHUNK + item // self.chunks
        self.item = np.argsort(self.place).astype(np.int32)
        spread = np.zeros((rows, self.dim), np.float32)
        spread[np.asarray(self.place)[: self.n_items + 1]] = table
        self.panels = on_lines(spread.reshape(-1, PANEL, self.dim).transpose(0, 2, 1).ravel())
        self.cosines = on_lines(np.zeros((TOGETHER, rows + APART)))
        self.highest = on_lines(np.zeros((TOGETHER, self.chunks * LANES)))
        self.keys = np.empty(self.chunks * CHUNK, np.uint64)
        self.places = np.empty(self.chunks * CHUNK + 1, np.int32)
        self.marked = np.zeros(self.n_items + 1, np.uint8)
        self.ids_of, self.told_of = np.empty(0, np.int32), np.empty((0, WIDTH), np.float32)

    def look(self, queries, float temperature, Py_ssize_t own, gathered, context):
        """The fields of `Added`; `gathered.told` is filled in. `queries` [B, d]: normalised, or
        zero."""
        cdef Py_ssize_t rows = queries.shape[0], first = 0, row, n, m = 0
        cdef const float[:, ::1] asked = queries, of_shopper = context
        cdef const int32_t[::1] candidates = gathered.ids
        cdef float[:, ::1] told = gathered.told
        cdef const int64_t[::1] offsets = gathered.offsets
        own = min(own, self.n_items)
        if self.ids_of.size < rows * own:
            self.ids_of = np.empty(rows * own, np.int32)
            self.told_of = np.empty((rows * own, WIDTH), np.float32)
        added_offsets = np.zeros(rows + 1, np.int64)
        cdef int64_t[::1] ends = added_offsets
        cdef int32_t[::1] ids = self.ids_of
        cdef float[:, ::1] added = self.told_of
        with nogil:
            while first < rows:
                n = min(rows - first, TOGETHER)
                cosines_and_highest(
                    &asked[first, 0], n, self.dim, &self.panels[0], self.chunks,
                    &self.cosines[0, 0], self.cosines.shape[1], &self.highest[0, 0],
                )
                for row in range(first, first + n):
                    m += self.one(
                        &asked[row, 0],
                        &self.cosines[row - first, 0],
                        &self.highest[row - first, 0],
                        temperature,
                        own,
                        &candidates[0] + offsets[row],
                        &told[0, 0] + offsets[row] * WIDTH,
                        offsets[row + 1] - offsets[row],
                        &of_shopper[row, 0],
                        &ids[0] + m,
                        &added[0, 0] + m * WIDTH,
                    )
                    ends[row + 1] = m
                first += n
        return self.ids_of[:m], self.told_of[:m], added_offsets

    cdef Py_ssize_t one(
        self,
        const float *query,
        float *cosines,
        const float *highest,
        float temperature,
        Py_ssize_t own,
        const int32_t *candidates,
        float *told,
        Py_ssize_t n,
        const float *context,
        int32_t *ids,
        float *added,
    ) noexcept nogil:
        """Say of one shopper's candidates what the model thinks of them; write the items that it
        adds, and return how many."""
        cdef Py_ssize_t at, near, m = 0
        cdef int32_t item
        cdef float top, log_sum
        # What is no item is as far away as can be; once the exponentials are summed, the row of
        # nothing has the cosine that its vector gives it.
        cosines[0] = NOWHERE
        for at in range(self.n_items + 1, self.chunks * CHUNK):
            cosines[self.place[at]] = NOWHERE
        near = 0 if self.says_nothing(query) else self.nearest(cosines, highest, own)
        if not near:  # all are as near, or, of a model that is broken, no cosine is a number
            near = own
            for at in range(own):
                self.keys[at] = at + 1
        own = near
        top = cosines[self.place[<uint32_t>self.keys[0]]]
        log_sum = logf(sum_of_exponentials(cosines, self.chunks * CHUNK, temperature, top))
        cosines[0] = 0.0
        for at in range(n):
            # Rows lie behind the second cache, where many shoppers came before.
            if at + AHEAD < n:
                prefetch(told + AHEAD * WIDTH, 1)
            item = candidates[at] if candidates[at] <= self.n_items else 0
            self.marked[item] = 1
            told[1] = cosines[self.place[item]]
            told[0] = (told[1] - top) * temperature - log_sum if item else NOTHING
            told[0] = told[0] if told[0] > NOTHING else NOTHING
            told += WIDTH
        memset(added, 0, own * WIDTH * sizeof(float))
        for at in range(own):
            item = <int32_t>(self.keys[at] & 0xFFFFFFFFU)
            if self.marked[item]:
                continue
            ids[m] = item
            m += 1
            added[1] = cosines[self.place[item]]
            added[0] = (added[1] - top) * temperature - log_sum
            added[0] = added[0] if added[0] > NOTHING else NOTHING
            memcpy(added + WIDTH - AROUND - KNOWN, &self.facts[item, 0], KNOWN * sizeof(float))
            memcpy(added + WIDTH - AROUND, context, AROUND * sizeof(float))
            added += WIDTH
        for at in range(n):
            self.marked[candidates[at] if candidates[at] <= self.n_items else 0] = 0
        return m

    cdef bint says_nothing(self, const float *query) noexcept nogil:
        """Whether it is that of a session without a known item: all items are as near then."""
        cdef Py_ssize_t at
        for at in range(self.dim):
            if query[at] != 0.0:
                return False
        return True

    cdef Py_ssize_t nearest(
        self, const float *cosines, const float *highest, Py_ssize_t own
    ) noexcept nogil:
        """The highest cosines as the first of `keys`, the highest of all first, the others in any
        order; returns how many.

        A block's highest may be the 0 of padding. Where the bound is too high for that, too few
        reach it, and all are looked at.
        """
        cdef Py_ssize_t at, n, blocks = self.chunks * LANES
        cdef float least = NOWHERE + 1.0
        if own < blocks:
            least = reached_by(highest, blocks, own)
        n = places_of(cosines, self.chunks * CHUNK, least, &self.places[0])
        if n < own:
            n = places_of(cosines, self.chunks * CHUNK, NOWHERE + 1.0, &self.places[0])
        for at in range(n):
            self.keys[at] = falling(cosines[self.places[at]], <uint32_t>self.item[self.places[at]])
        own = min(own, n)
        lowest_first(&self.keys[0], n, own)
        for at in range(1, own):
            if self.keys[at] < self.keys[0]:
                self.keys[0], self.keys[at] = self.keys[at], self.keys[0]
        return own


def together(gathered, added_ids, added_offsets, of_candidates, of_added):
    """The fields of `Scored`: of each shopper the candidates with their scores `of_candidates`,
    then what is added to them with its scores `of_added`."""
    cdef const int64_t[::1] first = gathered.offsets, then = added_offsets
    cdef const int32_t[::1] candidates = gathered.ids, added = added_ids
    cdef const float[::1] scores = of_candidates, more = of_added
    cdef Py_ssize_t row, n, m, to = 0, rows = then.shape[0] - 1
    ids_of = np.empty(candidates.shape[0] + added.shape[0], np.int32)
    scores_of = np.empty(ids_of.size, np.float32)
    offsets = np.asarray(first) + np.asarray(then)
    cdef int32_t[::1] ids = ids_of
    cdef float[::1] all_scores = scores_of
    with nogil:
        for row in range(rows):
            n, m = first[row + 1] - first[row], then[row + 1] - then[row]
            if n:
                memcpy(&ids[to], &candidates[first[row]], n * sizeof(int32_t))
                memcpy(&all_scores[to], &scores[first[row]], n * sizeof(float))
                to += n
            if m:
                memcpy(&ids[to], &added[then[row]], m * sizeof(int32_t))
                memcpy(&all_scores[to], &more[then[row]], m * sizeof(float))
                to += m
    return ids_of, scores_of, offsets
