# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""`tell` of `endcap.scoring.catalogue` for many shoppers: the nearest items without a sort of the
catalogue, the sum of its exponentials beside it, and each item's inputs written once.

The nearest `own` are found by the highest of each 32 cosines: the `own`-th highest of these is a
bound that few others reach. (Sums of exponentials differ from numpy's in the last digits.)
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
    #define FOR_EACH_WIDTH __attribute__((target_clones("avx512f", "avx2", "default")))
    #else
    #define FOR_EACH_WIDTH
    #endif
    #define LANES 16
    #define DEPTH 32
    #define CHUNK (LANES * DEPTH)

    /* highest[chunk * LANES + lane]: of the cosines at chunk * CHUNK + step * LANES + lane. */
    FOR_EACH_WIDTH
    static void highest_of_blocks(const float *cosines, Py_ssize_t chunks, float *highest) {
        for (Py_ssize_t chunk = 0; chunk < chunks; chunk++) {
            float lanes[LANES];
            const float *at = cosines + chunk * CHUNK;
            for (int lane = 0; lane < LANES; lane++) lanes[lane] = at[lane];
            for (int step = 1; step < DEPTH; step++)
                for (int lane = 0; lane < LANES; lane++) {
                    float value = at[step * LANES + lane];
                    lanes[lane] = value > lanes[lane] ? value : lanes[lane];
                }
            for (int lane = 0; lane < LANES; lane++) highest[chunk * LANES + lane] = lanes[lane];
        }
    }

    /* Of exp((cosine - top) * temperature), by a polynomial of the fifth degree on [-ln 2 / 2,
       ln 2 / 2] (after Cephes' expf) and the exponent's bits; below e^-87 it is nothing. */
    FOR_EACH_WIDTH
    static float sum_of_exponentials(
        const float *cosines, Py_ssize_t chunks, float temperature, float top
    ) {
        float sums[LANES] = {0};
        for (Py_ssize_t from = 0; from < chunks * CHUNK; from += LANES)
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
    """
    void highest_of_blocks(const float *, Py_ssize_t, float *) noexcept nogil
    float sum_of_exponentials(const float *, Py_ssize_t, float, float) noexcept nogil

cdef enum:
    LANES = 16
    DEPTH = 32
    CHUNK = 512
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
    cdef object turned, cosines_of, inputs_of, ids_of
    cdef float[:, ::1] cosines
    cdef float[::1] highest
    cdef uint64_t[::1] keys
    cdef int32_t[::1] marked

    def __init__(self, table, facts):
        # Turned once: a product with what lies the other way takes twice as long.
        self.turned = np.ascontiguousarray(table.T)
        self.facts = facts
        self.n_items = facts.shape[0] - 1
        self.chunks = (self.n_items + CHUNK) // CHUNK
        self.cosines_of = np.full((TOGETHER, self.chunks * CHUNK), NOWHERE, np.float32)
        self.cosines = self.cosines_of
        self.highest = np.empty(self.chunks * LANES, np.float32)
        self.keys = np.empty(self.chunks * CHUNK, np.uint64)
        self.marked = np.zeros(self.n_items + 1, np.int32)
        self.ids_of, self.inputs_of = np.empty(0, np.int32), np.empty((0, WIDTH), np.float32)

    def tell(self, queries, float temperature, Py_ssize_t own, gathered, context):
        """The fields of `Told`. `queries` [B, d]: normalised, or zero."""
        cdef Py_ssize_t rows = queries.shape[0], first, row, n, m = 0
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
        for first in range(0, rows, TOGETHER):
            n = min(rows - first, TOGETHER)
            np.matmul(
                queries[first : first + n], self.turned, out=self.cosines_of[:n, : self.n_items + 1]
            )
            with nogil:
                for row in range(first, first + n):
                    m += self.one(
                        &self.cosines[row - first, 0],
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
        return self.ids_of[:m], self.inputs_of[:m], told_offsets

    cdef Py_ssize_t one(
        self,
        float *cosines,
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
        cosines[0] = NOWHERE
        highest_of_blocks(cosines, self.chunks, &self.highest[0])
        own = self.nearest(cosines, own)
        top = cosines[<uint32_t>self.keys[0]]
        log_sum = logf(sum_of_exponentials(cosines, self.chunks, temperature, top))
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

    cdef Py_ssize_t nearest(self, const float *cosines, Py_ssize_t own) noexcept nogil:
        """The highest cosines as the first of `keys`, best first; returns how many."""
        cdef Py_ssize_t block, step, at, n = 0, blocks = self.chunks * LANES
        cdef float least = NOWHERE
        if own < blocks:
            for block in range(blocks):
                self.keys[block] = falling(self.highest[block], <uint32_t>block)
            lowest_first(&self.keys[0], blocks, own)
            least = 3.0
            for at in range(own):
                block = <Py_ssize_t>(self.keys[at] & 0xFFFFFFFFU)
                least = self.highest[block] if self.highest[block] < least else least
        for block in range(blocks):
            if self.highest[block] < least or self.highest[block] <= NOWHERE:
                continue
            at = block // LANES * CHUNK + block % LANES
            for step in range(DEPTH):
                if cosines[at] >= least and cosines[at] > NOWHERE:
                    self.keys[n] = falling(cosines[at], <uint32_t>at)
                    n += 1
                at += LANES
        lowest_first(&self.keys[0], n, own)
        sort(&self.keys[0], min(own, n))
        return min(own, n)
