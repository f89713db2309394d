# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""`tell` of `endcap.scoring.catalogue` for many shoppers: the nearest items without a sort of the
catalogue, the sum of its exponentials beside it, and each item's inputs written once.

The nearest `own` are found by the highest of each 32 cosines: the `own`-th highest of these is a
bound that few others reach. Cosines and exponentials differ from numpy's in the last digits.
"""

from libc.math cimport logf
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np

from endcap.candidates.features import FEATURES, GENERATED
from endcap.candidates.order cimport falling, lowest_first, sort
from endcap.scoring.catalogue import FACTS, INPUTS, LEAST

cdef extern from *:
    """
    /* The same C for each width of registers that a processor may have. */
    #if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
    #define FOR_EACH_WIDTH \\
        __attribute__((target_clones("avx512f", "fma", "default")))
    #pragma GCC diagnostic ignored "-Wpsabi"
    #else
    #define FOR_EACH_WIDTH
    #endif
    #define LANES 16
    #define ABREAST 4
    #define PANEL (LANES * ABREAST)
    #define DEPTH 32
    #define CHUNK (LANES * DEPTH)
    typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4)));

    typedef int32_t masks __attribute__((vector_size(4 * LANES), aligned(4)));

    static inline lanes higher(lanes one, lanes other) {
        masks is_one = one > other;
        return (lanes)(((masks)one & is_one) | ((masks)other & ~is_one));
    }

    /* Cosines of `n` queries [n, dim] with the items of `panels`: each holds 64 items, one
       dimension after the other, and stays in the first cache while all queries pass it. Beside
       them the highest of blocks: of query q, highest[q * stride / DEPTH + chunk * LANES + lane] is
       of the cosines at chunk * CHUNK + step * LANES + lane. */
    FOR_EACH_WIDTH
    static void cosines_and_highest(
        const float *queries, Py_ssize_t n, Py_ssize_t dim, const float *panels, Py_ssize_t chunks,
        float *cosines, float *highest
    ) {
        Py_ssize_t stride = chunks * CHUNK;
        for (Py_ssize_t at = 0; at < stride; at += PANEL) {
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
                    lanes *most = (lanes *)(highest + (from + q) * (stride / DEPTH) + block);
                    for (int each = 0; each < ABREAST; each++) written[each] = sums[q][each];
                    lanes now = higher(
                        higher(sums[q][0], sums[q][1]), higher(sums[q][2], sums[q][3])
                    );
                    *most = at % CHUNK ? higher(*most, now) : now;
                }
            }
        }
    }

    /* Of exp((cosine - top) * temperature), by a polynomial of the fifth degree on [-ln 2 / 2,
       ln 2 / 2] (after Cephes' expf) and the exponent's bits; below e^-87 it is nothing. */
    FOR_EACH_WIDTH
    static float sum_of_exponentials(
        const float *cosines, Py_ssize_t n, float temperature, float top
    ) {
        float sums[LANES] = {0};
        for (Py_ssize_t from = 0; from < n; from += LANES)
            for (int lane = 0; lane < LANES; lane++) {
                float x = (cosines[from + lane] - top) * temperature;
                x = x > -87.0f ? x : -87.0f;
                float shifted = x * 1.44269504f + 12582912.0f;
                float whole = shifted - 12582912.0f;
                float rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
                float power = 1.9875691500e-4f;
                power = power * rest + 1.3981999507e-3f;
                power = power * rest + 8.3334519073e-3f;
                power = power * rest + 4.1665795894e-2f;
                power = power * rest + 1.6666665459e-1f;
                power = power * rest + 5.0000001201e-1f;
                power = power * rest * rest + rest + 1.0f;
                union { int32_t bits; float value; } scale;
                scale.bits = ((int32_t)whole + 127) << 23;
                sums[lane] += power * scale.value;
            }
        float sum = 0;
        for (int lane = 0; lane < LANES; lane++) sum += sums[lane];
        return sum;
    }

    /* Where cosines [n] are at least `least`; returns how many. Most lanes hold none. */
    FOR_EACH_WIDTH
    static Py_ssize_t places_of(const float *cosines, Py_ssize_t n, float least, int32_t *places) {
        Py_ssize_t found = 0;
        for (Py_ssize_t from = 0; from < n; from += LANES) {
            int32_t any = 0;
            for (int lane = 0; lane < LANES; lane++) any |= cosines[from + lane] >= least;
            if (any)
                for (int lane = 0; lane < LANES; lane++) {
                    places[found] = (int32_t)(from + lane);
                    found += cosines[from + lane] >= least;
                }
        }
        return found;
    }
    """
    void cosines_and_highest(
        const float *, Py_ssize_t, Py_ssize_t, const float *, Py_ssize_t, float *, float *
    ) noexcept nogil
    float sum_of_exponentials(const float *, Py_ssize_t, float, float) noexcept nogil
    Py_ssize_t places_of(const float *, Py_ssize_t, float, int32_t *) noexcept nogil

cdef enum:
    LANES = 16
    DEPTH = 32
    CHUNK = 512
    PANEL = 64
    TOGETHER = 32  # shoppers whose cosines lie in the cache at once

cdef Py_ssize_t FEATURE_WIDTH = len(FEATURES)
cdef Py_ssize_t FIRST_GENERATED = GENERATED
cdef Py_ssize_t FACT_WIDTH = len(FACTS)
cdef Py_ssize_t WIDTH = len(INPUTS)
cdef float NOTHING = LEAST
cdef float NOWHERE = -3.0  # below every cosine


cdef class NativeCatalogue:
    """With room for one batch at a time: what `tell` gave is overwritten by its next call.
    `table` [V + 1, d]: normalised; `facts` [V + 1, len(FACTS)]."""

    cdef const float[:, ::1] facts
    cdef Py_ssize_t n_items, chunks
    cdef Py_ssize_t dim
    cdef object inputs_of, ids_of
    cdef float[::1] panels
    cdef float[:, ::1] cosines, highest
    cdef uint64_t[::1] keys
    cdef int32_t[::1] marked, places

    def __init__(self, table, facts):
        self.facts = facts
        self.n_items, self.dim = facts.shape[0] - 1, table.shape[1]
        self.chunks = (self.n_items + CHUNK) // CHUNK
        rows = self.chunks * CHUNK
        padded = np.zeros((rows, self.dim), np.float32)
        padded[: self.n_items + 1] = table
        self.panels = padded.reshape(-1, PANEL, self.dim).transpose(0, 2, 1).ravel()
        self.cosines = np.empty((TOGETHER, rows), np.float32)
        self.highest = np.empty((TOGETHER, self.chunks * LANES), np.float32)
        self.keys = np.empty(self.chunks * CHUNK, np.uint64)
        self.places = np.empty(self.chunks * CHUNK + 1, np.int32)
        self.marked = np.zeros(self.n_items + 1, np.int32)
        self.ids_of, self.inputs_of = np.empty(0, np.int32), np.empty((0, WIDTH), np.float32)

    def tell(self, queries, float temperature, Py_ssize_t own, gathered, context):
        """The fields of `Told`. `queries` [B, d]: normalised, or zero."""
        cdef Py_ssize_t rows = queries.shape[0], first = 0, row, n, m = 0
        cdef const int32_t[::1] candidates = gathered.ids
        cdef const float[:, ::1] features = gathered.features, of_shopper = context
        cdef const int64_t[::1] offsets = gathered.offsets
        own = min(own, self.n_items)
        most = gathered.ids.size + rows * own
        if self.ids_of.size < most:
            self.ids_of = np.empty(most, np.int32)
            self.inputs_of = np.empty((most, WIDTH), np.float32)
        told_offsets = np.zeros(rows + 1, np.int64)
        cdef int64_t[::1] ends = told_offsets
        cdef int32_t[::1] ids = self.ids_of
        cdef float[:, ::1] inputs = self.inputs_of
        cdef const float[:, ::1] asked = queries
        with nogil:
            while first < rows:
                n = min(rows - first, TOGETHER)
                cosines_and_highest(
                    &asked[first, 0], n, self.dim, &self.panels[0], self.chunks,
                    &self.cosines[0, 0], &self.highest[0, 0],
                )
                for row in range(first, first + n):
                    m += self.one(
                        &self.cosines[row - first, 0],
                        &self.highest[row - first, 0],
                        temperature,
                        own,
                        &candidates[0] + offsets[row],
                        &features[0, 0] + offsets[row] * FEATURE_WIDTH,
                        offsets[row + 1] - offsets[row],
                        &of_shopper[row, 0],
                        of_shopper.shape[1],
                        &ids[0] + m,
                        &inputs[0, 0] + m * WIDTH,
                    )
                    ends[row + 1] = m
                first += n
        return self.ids_of[:m], self.inputs_of[:m], told_offsets

    cdef Py_ssize_t one(
        self,
        float *cosines,
        const float *highest,
        float temperature,
        Py_ssize_t own,
        const int32_t *candidates,
        const float *features,
        Py_ssize_t n,
        const float *context,
        Py_ssize_t context_width,
        int32_t *ids,
        float *inputs,
    ) noexcept nogil:
        """Write one shopper's items; returns how many."""
        cdef Py_ssize_t at, column, m = n
        cdef int32_t item
        cdef float most[64]
        cdef float top, log_sum
        cdef float *told
        # What is no item is as far away as can be; before and after the exponentials are summed,
        # the row of nothing has the cosine that its vector gives it.
        cosines[0] = NOWHERE
        for at in range(self.n_items + 1, self.chunks * CHUNK):
            cosines[at] = NOWHERE
        own = self.nearest(cosines, highest, own)
        top = cosines[<uint32_t>self.keys[0]]
        log_sum = logf(sum_of_exponentials(cosines, self.chunks * CHUNK, temperature, top))
        cosines[0] = 0.0
        memcpy(ids, candidates, n * sizeof(int32_t))
        for at in range(n):
            if candidates[at] <= self.n_items:
                self.marked[candidates[at]] = 1
        for at in range(own):
            item = <int32_t>(self.keys[at] & 0xFFFFFFFFU)
            if not self.marked[item]:
                ids[m] = item
                m += 1
        for column in range(FIRST_GENERATED, FEATURE_WIDTH):
            most[column] = 1e-6
        for at in range(n):
            if candidates[at] <= self.n_items:
                self.marked[candidates[at]] = 0
            told = <float *>features + at * FEATURE_WIDTH
            for column in range(FIRST_GENERATED, FEATURE_WIDTH):
                most[column] = told[column] if told[column] > most[column] else most[column]
        for at in range(m):
            told = inputs + at * WIDTH
            item = ids[at] if ids[at] <= self.n_items else 0
            told[0] = (cosines[item] - top) * temperature - log_sum if item else NOTHING
            told[0] = told[0] if told[0] > NOTHING else NOTHING
            told[1] = cosines[item]
            told += 2
            if at < n:
                memcpy(told, features + at * FEATURE_WIDTH, FEATURE_WIDTH * sizeof(float))
                for column in range(FIRST_GENERATED, FEATURE_WIDTH):
                    told[FEATURE_WIDTH - FIRST_GENERATED + column] = told[column] / most[column]
            else:
                memset(told, 0, (2 * FEATURE_WIDTH - FIRST_GENERATED) * sizeof(float))
            told += 2 * FEATURE_WIDTH - FIRST_GENERATED
            for column in range(FACT_WIDTH):
                told[column] = self.facts[item, column]
            memcpy(told + FACT_WIDTH, context, context_width * sizeof(float))
        return m

    cdef Py_ssize_t nearest(
        self, const float *cosines, const float *highest, Py_ssize_t own
    ) noexcept nogil:
        """The highest cosines as the first of `keys`, best first; returns how many.

        A block's highest may be the 0 of padding. Where the bound is too high for that, too few
        reach it, and all are looked at.
        """
        cdef Py_ssize_t block, at, n, blocks = self.chunks * LANES
        cdef float least = NOWHERE + 1.0
        if own < blocks:
            for block in range(blocks):
                self.keys[block] = falling(highest[block], <uint32_t>block)
            lowest_first(&self.keys[0], blocks, own)
            least = 3.0
            for at in range(own):
                block = <Py_ssize_t>(self.keys[at] & 0xFFFFFFFFU)
                least = highest[block] if highest[block] < least else least
        n = places_of(cosines, self.chunks * CHUNK, least, &self.places[0])
        if n < own:
            n = places_of(cosines, self.chunks * CHUNK, NOWHERE + 1.0, &self.places[0])
        for at in range(n):
            self.keys[at] = falling(cosines[self.places[at]], <uint32_t>self.places[at])
        own = min(own, n)
        lowest_first(&self.keys[0], n, own)
        sort(&self.keys[0], own)
        return own
