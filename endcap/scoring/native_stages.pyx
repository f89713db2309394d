# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The encoder and the blend of `StageGraphs` in C, from the same weights.

ONNX Runtime takes as long for one short session's encoder as for twenty of them, since the graph is
hundreds of operations on small arrays. Here some sessions at a time go through one block after the
other, in room that stays in the second cache. Scores are those of the graphs but for the last
digits (tests/unit/test_native_stages.py). The GIL is free meanwhile.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

import numpy as np

from endcap.scoring.aligned import on_lines
from endcap.scoring.dense cimport (
    PANEL_OF, TOGETHER, dense_ask, dense_block, dense_room, dense_transform, dense_weigh,
)

cdef enum:
    AT_ONCE = 96  # events, unless one session has more: the widest array of them is 96 KB


cdef Py_ssize_t whole_panels(Py_ssize_t columns):
    return (columns + PANEL_OF - 1) // PANEL_OF * PANEL_OF


cdef class Held:
    """Arrays whose addresses are handed to C, for as long as this lives."""

    cdef list arrays

    def __init__(self):
        self.arrays = []

    cdef float *plain(self, array):
        held = on_lines(array)
        self.arrays.append(held)
        cdef size_t address = held.ctypes.data
        return <float *>address

    cdef float *padded(self, array, Py_ssize_t size):
        """With zeros up to whole panels."""
        held = np.zeros(whole_panels(size), np.float32)
        held[: array.size] = array
        return self.plain(held)

    cdef float *panels(self, matrix):
        """[depth, columns] as `dense.pxd` has it."""
        depth, columns = matrix.shape
        wide = np.zeros((depth, whole_panels(columns)), np.float32)
        wide[:, :columns] = matrix
        return self.plain(wide.reshape(depth, -1, PANEL_OF).transpose(1, 0, 2))


cdef class NativeEncoder:
    """Queries of sessions. `weights`: `EncoderWeights`; `table` [V + 1, d]: normalised item
    vectors; `steps`: the least gap in ms of each step from 1. One call at a time."""

    cdef Held held
    cdef dense_block *blocks
    cdef Py_ssize_t layers, length
    cdef dense_room room
    cdef float *ln_weight
    cdef float *ln_bias
    cdef float *ask
    cdef float *add
    cdef float *places
    cdef float *scaled
    cdef const float[:, ::1] table, types, gaps
    cdef const int64_t[::1] steps

    def __cinit__(self):
        self.blocks = NULL

    def __init__(self, weights, table, steps):
        cdef Py_ssize_t events, dim = table.shape[1], at
        cdef dense_block *block
        self.held = Held()
        self.table, self.steps = table, steps
        self.types = np.ascontiguousarray(weights.types)
        self.gaps = np.ascontiguousarray(weights.gaps)
        self.places = self.held.plain(weights.places)
        self.length = weights.places.shape[0]
        self.layers = len(weights.blocks)
        self.blocks = <dense_block *>calloc(max(1, self.layers), sizeof(dense_block))
        if self.blocks == NULL:
            raise MemoryError()
        for at, each in enumerate(weights.blocks):
            block = &self.blocks[at]
            block.ln_1_weight = self.held.plain(each.ln_1_weight)
            block.ln_1_bias = self.held.plain(each.ln_1_bias)
            block.attend = self.held.panels(each.attend)
            block.attend_bias = self.held.plain(each.attend_bias)
            block.project = self.held.panels(each.project)
            block.project_bias = self.held.plain(each.project_bias)
            block.ln_2_weight = self.held.plain(each.ln_2_weight)
            block.ln_2_bias = self.held.plain(each.ln_2_bias)
            block.widen = self.held.panels(each.widen)
            block.widen_bias = self.held.plain(each.widen_bias)
            block.narrow = self.held.panels(each.narrow)
            block.narrow_bias = self.held.plain(each.narrow_bias)
            self.room.inner = each.widen_bias.size
        self.ln_weight = self.held.plain(weights.ln_weight)
        self.ln_bias = self.held.plain(weights.ln_bias)
        # What is asked for meets the keys of all events: the keys' matrix goes to the one side.
        self.ask = self.held.panels(weights.ask @ weights.key.T)
        self.add = self.held.panels(weights.add)
        self.room.dim, self.room.heads = dim, weights.heads
        events = max(<Py_ssize_t>AT_ONCE, self.length)
        whole, head = whole_panels(self.length), whole_panels(dim // weights.heads)
        self.room.hidden = self.held.plain(np.zeros((events, dim)))
        self.room.normal = self.held.plain(np.zeros((events, dim)))
        self.room.parts = self.held.plain(np.zeros((events, 3 * dim)))
        self.room.heard = self.held.plain(np.zeros((events, dim)))
        self.room.wide = self.held.plain(np.zeros((events, max(1, self.room.inner))))
        self.room.weights = self.held.plain(np.zeros((self.length, whole)))
        self.room.turned = self.held.plain(np.zeros((head, whole)))
        self.room.values = self.held.plain(np.zeros((self.length, head)))
        self.scaled = self.held.plain(np.zeros((events, dim)))

    def __dealloc__(self):
        free(self.blocks)

    def encode(self, crowd):
        """Queries [B, d] of a `Crowd`; zeros for shoppers of whom no item is known."""
        cdef const int64_t[::1] history_at = crowd.history_at, times_ms = crowd.times_ms
        cdef const int32_t[::1] history = crowd.history, types = crowd.types
        cdef Py_ssize_t rows = history_at.shape[0] - 1, row, first, n
        cdef Py_ssize_t events = 0, sessions = 0, dim = self.room.dim
        cdef Py_ssize_t most = max(<Py_ssize_t>AT_ONCE, self.length)
        cdef int32_t n_items = crowd.n_items
        found = np.zeros((rows, dim), np.float32)
        order_of = np.empty(rows + 1, np.int64)
        lengths_of = np.empty(rows + 1, np.intp)
        packed_of = np.empty((rows + 1, dim), np.float32)
        cdef float[:, ::1] queries = found, packed = packed_of
        cdef int64_t[::1] order = order_of
        cdef Py_ssize_t[::1] lengths = lengths_of
        if not rows:
            return found
        with nogil:
            for row in range(rows):
                first = history_at[row + 1]
                n = 0
                while first > history_at[row] and n < self.length:
                    first -= 1
                    n += history[first] <= n_items
                if not n:
                    continue
                if events + n > most:
                    self.flush(
                        &lengths[0], &order[0], sessions, events, &packed[0, 0], &queries[0, 0]
                    )
                    events = sessions = 0
                self.place(history, types, times_ms, first, history_at[row + 1], n_items, events)
                order[sessions], lengths[sessions] = row, n
                events += n
                sessions += 1
            if sessions:
                self.flush(
                    &lengths[0], &order[0], sessions, events, &packed[0, 0], &queries[0, 0]
                )
        return found

    cdef void place(
        self, const int32_t[::1] history, const int32_t[::1] types, const int64_t[::1] times_ms,
        Py_ssize_t first, Py_ssize_t end, int32_t n_items, Py_ssize_t events,
    ) noexcept nogil:
        """The vectors of one session's events, from row `events` on."""
        cdef Py_ssize_t at, k, place = 0, dim = self.room.dim, step
        cdef int64_t before_ms = 0
        cdef float scale = <float>(0.3 * (<double>dim) ** 0.5)
        cdef float *scaled
        cdef float *hidden
        for at in range(first, end):
            if history[at] > n_items:
                continue
            step = 0
            if place:
                step = 1
                while step < self.steps.shape[0] and (
                    times_ms[at] - before_ms >= self.steps[step]
                ):
                    step += 1
            before_ms = times_ms[at]
            scaled = self.scaled + (events + place) * dim
            hidden = self.room.hidden + (events + place) * dim
            for k in range(dim):
                scaled[k] = self.table[history[at], k] * scale
                hidden[k] = (
                    scaled[k] + self.types[types[at], k] + self.gaps[step, k]
                    + self.places[place * dim + k]
                )
            place += 1

    cdef void flush(
        self, const Py_ssize_t *lengths, const int64_t *order, Py_ssize_t sessions,
        Py_ssize_t events, float *packed, float *queries,
    ) noexcept nogil:
        """Session `at` of those placed is row `order[at]` of the queries."""
        cdef Py_ssize_t layer, at, dim = self.room.dim
        for layer in range(self.layers):
            dense_transform(&self.room, &self.blocks[layer], lengths, sessions, events)
        dense_ask(
            &self.room, self.ln_weight, self.ln_bias, self.ask, self.add, self.scaled, lengths,
            sessions, events, packed,
        )
        for at in range(sessions):
            memcpy(queries + order[at] * dim, packed + at * dim, dim * sizeof(float))


cdef class NativeBlend:
    """Scores of candidates. `weights`: `BlendWeights`. One call at a time."""

    cdef Held held
    cdef Py_ssize_t known, width
    cdef float *first
    cdef float *first_bias
    cdef float *second
    cdef float *second_bias
    cdef float *last
    cdef float last_bias
    cdef float *room

    def __init__(self, weights):
        self.held = Held()
        self.known, self.width = weights.first.shape
        wide = whole_panels(self.width)
        self.first = self.held.panels(weights.first)
        self.first_bias = self.held.padded(weights.first_bias, self.width)
        self.second = self.held.panels(weights.second)
        self.second_bias = self.held.padded(weights.second_bias, self.width)
        self.last = self.held.padded(weights.last, self.width)
        self.last_bias = weights.last_bias
        self.room = self.held.plain(np.zeros((2 * TOGETHER, wide)))

    def weigh(self, told):
        """Scores [M] of inputs [M, len(INPUTS)]."""
        cdef const float[:, ::1] rows = told
        scores_of = np.empty(rows.shape[0], np.float32)
        cdef float[::1] scores = scores_of
        if rows.shape[0]:
            with nogil:
                dense_weigh(
                    &rows[0, 0], rows.shape[0], self.known, self.width, self.first,
                    self.first_bias, self.second, self.second_bias, self.last, self.last_bias,
                    self.room, &scores[0],
                )
        return scores_of
