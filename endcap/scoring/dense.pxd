"""Products of small matrices and what stands between them, in C: float32, row by row.

A right-hand matrix is packed once in panels of `PANEL_OF` columns, one row of them after the other,
with room for whole panels; what is added to a product stands in panels likewise.
"""

from endcap.scoring.across cimport ACROSS  # brings its C along


cdef extern from *:
    """
    #ifndef ENDCAP_DENSE
    #define ENDCAP_DENSE
    #define PANEL_OF 32

    /* ROWS rows of one panel: 2 * ROWS sums stay in registers. */
    #define DENSE_ROWS(ROWS)                                                                       \\
        WITHIN void dense_rows_##ROWS(                                                             \\
            const float *a, Py_ssize_t a_stride, Py_ssize_t depth, const float *panel,             \\
            const float *added, float *c, Py_ssize_t c_stride                                      \\
        ) {                                                                                        \\
            across sums[ROWS][2];                                                                  \\
            across zero = {0};                                                                     \\
            for (int row = 0; row < ROWS; row++)                                                   \\
                for (int half = 0; half < 2; half++)                                               \\
                    sums[row][half] = added ? ((const across *)added)[half] : zero;                \\
            for (Py_ssize_t k = 0; k < depth; k++) {                                               \\
                across first = ((const across *)(panel + k * PANEL_OF))[0];                        \\
                across second = ((const across *)(panel + k * PANEL_OF))[1];                       \\
                for (int row = 0; row < ROWS; row++) {                                             \\
                    float weight = a[row * a_stride + k];                                          \\
                    sums[row][0] += first * weight;                                                \\
                    sums[row][1] += second * weight;                                               \\
                }                                                                                  \\
            }                                                                                      \\
            for (int row = 0; row < ROWS; row++)                                                   \\
                for (int half = 0; half < 2; half++)                                               \\
                    ((across *)(c + row * c_stride))[half] = sums[row][half];                      \\
        }
    DENSE_ROWS(1)
    DENSE_ROWS(4)
    DENSE_ROWS(12)

    /* c [n, whole panels] = a [n, depth] times the panels, plus `added` where it is given. */
    WITHIN void dense_product(
        const float *a, Py_ssize_t a_stride, Py_ssize_t n, Py_ssize_t depth,
        const float *panels, Py_ssize_t count, const float *added, float *c, Py_ssize_t c_stride
    ) {
        for (Py_ssize_t each = 0; each < count; each++) {
            const float *panel = panels + each * depth * PANEL_OF;
            const float *more = added ? added + each * PANEL_OF : NULL;
            float *to = c + each * PANEL_OF;
            Py_ssize_t row = 0;
            for (; row + 12 <= n; row += 12)
                dense_rows_12(
                    a + row * a_stride, a_stride, depth, panel, more, to + row * c_stride, c_stride
                );
            for (; row + 4 <= n; row += 4)
                dense_rows_4(
                    a + row * a_stride, a_stride, depth, panel, more, to + row * c_stride, c_stride
                );
            for (; row < n; row++)
                dense_rows_1(
                    a + row * a_stride, a_stride, depth, panel, more, to + row * c_stride, c_stride
                );
        }
    }

    /* Rows of `dim`, a multiple of ACROSS, to a mean of 0 and a variance of 1, then scaled. */
    WITHIN void dense_normalise(
        const float *x, Py_ssize_t n, Py_ssize_t dim, const float *weight, const float *bias,
        float *y
    ) {
        for (Py_ssize_t row = 0; row < n; row++, x += dim, y += dim) {
            across sum = {0}, squares = {0};
            for (Py_ssize_t at = 0; at < dim; at += ACROSS) sum += *(const across *)(x + at);
            float mean = across_sum(sum) / dim;
            for (Py_ssize_t at = 0; at < dim; at += ACROSS) {
                across away = *(const across *)(x + at) - mean;
                squares += away * away;
            }
            float scale = 1.0f / sqrtf(across_sum(squares) / dim + 1e-5f);
            for (Py_ssize_t at = 0; at < dim; at += ACROSS)
                *(across *)(y + at) = (*(const across *)(x + at) - mean) * scale
                    * *(const across *)(weight + at) + *(const across *)(bias + at);
        }
    }

    /* GELU by tanh (Hendrycks and Gimpel, 2016), as GPT-2 has it; `n` a multiple of ACROSS. */
    WITHIN void dense_gelu(float *x, Py_ssize_t n) {
        for (Py_ssize_t at = 0; at < n; at += ACROSS) {
            across held = *(across *)(x + at);
            across twice = held * (held * held * 0.044715f + 1.0f) * -1.5957691216f;
            *(across *)(x + at) = held / (across_exp(twice) + 1.0f);
        }
    }

    WITHIN void dense_add(float *x, const float *more, Py_ssize_t n) {
        for (Py_ssize_t at = 0; at < n; at += ACROSS)
            *(across *)(x + at) += *(const across *)(more + at);
    }

    /* The softmax of the first `heard` of `width` weights times `scale`; 0 for the others. `width`
       is a multiple of ACROSS. */
    WITHIN void dense_softmax(
        float *x, Py_ssize_t heard, Py_ssize_t width, float scale
    ) {
        float top = x[0];
        for (Py_ssize_t at = 1; at < heard; at++) top = x[at] > top ? x[at] : top;
        Py_ssize_t end = (heard + ACROSS - 1) / ACROSS * ACROSS;
        across sum = {0};
        for (Py_ssize_t at = heard; at < end; at++) x[at] = -INFINITY;
        for (Py_ssize_t at = 0; at < end; at += ACROSS) {
            across power = across_exp((*(across *)(x + at) - top) * scale);
            *(across *)(x + at) = power;
        }
        for (Py_ssize_t at = heard; at < width; at++) x[at] = 0;
        for (Py_ssize_t at = 0; at < end; at += ACROSS) sum += *(across *)(x + at);
        float share = 1.0f / across_sum(sum);
        for (Py_ssize_t at = 0; at < end; at += ACROSS) *(across *)(x + at) *= share;
    }

    typedef struct {
        const float *ln_1_weight, *ln_1_bias, *attend, *attend_bias, *project, *project_bias;
        const float *ln_2_weight, *ln_2_bias, *widen, *widen_bias, *narrow, *narrow_bias;
    } dense_block;

    typedef struct {
        Py_ssize_t dim, heads, inner;
        /* [events, dim] but: parts [events, 3 * dim], wide [events, inner]; of one session
           weights [longest, whole panels], turned and values [longest or head, whole panels] */
        float *hidden, *normal, *parts, *heard, *wide, *weights, *turned, *values;
    } dense_room;

    #define WHOLE(n) (((n) + PANEL_OF - 1) / PANEL_OF)

    /* What each event of one session hears of those up to it. */
    WITHIN void dense_attend(
        const dense_room *room, const float *parts, Py_ssize_t length, float *heard
    ) {
        Py_ssize_t dim = room->dim, head = dim / room->heads, stride = 3 * dim;
        Py_ssize_t panels = WHOLE(length), wide = panels * PANEL_OF, across_head = WHOLE(head);
        float scale = 1.0f / sqrtf((float)head);
        float out[12 * 4 * PANEL_OF];
        for (Py_ssize_t each = 0; each < room->heads; each++) {
            const float *query = parts + each * head;
            const float *key = query + dim, *value = key + dim;
            for (Py_ssize_t at = 0; at < wide; at++)
                for (Py_ssize_t k = 0; k < head; k++)
                    room->turned[at / PANEL_OF * head * PANEL_OF + k * PANEL_OF + at % PANEL_OF] =
                        at < length ? key[at * stride + k] : 0;
            for (Py_ssize_t panel = 0; panel < across_head; panel++)
                for (Py_ssize_t at = 0; at < length; at++)
                    for (Py_ssize_t k = 0; k < PANEL_OF; k++)
                        room->values[(panel * length + at) * PANEL_OF + k] =
                            panel * PANEL_OF + k < head
                                ? value[at * stride + panel * PANEL_OF + k] : 0;
            dense_product(
                query, stride, length, head, room->turned, panels, NULL, room->weights, wide
            );
            for (Py_ssize_t row = 0; row < length; row++)
                dense_softmax(room->weights + row * wide, row + 1, wide, scale);
            for (Py_ssize_t from = 0; from < length; from += 12) {
                Py_ssize_t rows = length - from < 12 ? length - from : 12;
                Py_ssize_t written = across_head * PANEL_OF;
                /* Nobody hears of what comes later. */
                for (Py_ssize_t panel = 0; panel < across_head; panel++)
                    dense_product(
                        room->weights + from * wide, wide, rows, from + rows,
                        room->values + panel * length * PANEL_OF, 1, NULL,
                        out + panel * PANEL_OF, written
                    );
                for (Py_ssize_t row = 0; row < rows; row++)
                    memcpy(
                        heard + (from + row) * dim + each * head, out + row * written,
                        head * sizeof(float)
                    );
            }
        }
    }

    /* The same for a short session and heads of whole registers: with nothing turned or padded,
       one product for each pair of events. */
    #define DENSE_FEW 12
    WITHIN void dense_attend_few(
        const dense_room *room, const float *parts, Py_ssize_t length, float *heard
    ) {
        Py_ssize_t dim = room->dim, head = dim / room->heads, stride = 3 * dim;
        float scale = 1.0f / sqrtf((float)head), weights[ACROSS];
        for (Py_ssize_t each = 0; each < room->heads; each++) {
            const float *query = parts + each * head;
            const float *key = query + dim, *value = key + dim;
            for (Py_ssize_t row = 0; row < length; row++) {
                for (Py_ssize_t at = 0; at <= row; at++) {
                    across sum = {0};
                    for (Py_ssize_t k = 0; k < head; k += ACROSS)
                        sum += *(const across *)(query + row * stride + k)
                            * *(const across *)(key + at * stride + k);
                    weights[at] = across_sum(sum);
                }
                dense_softmax(weights, row + 1, ACROSS, scale);
                for (Py_ssize_t k = 0; k < head; k += ACROSS) {
                    across sum = {0};
                    for (Py_ssize_t at = 0; at <= row; at++)
                        sum += *(const across *)(value + at * stride + k) * weights[at];
                    *(across *)(heard + row * dim + each * head + k) = sum;
                }
            }
        }
    }

    /* One block over all events of some sessions, in room->hidden. */
    FOR_EACH_WIDTH
    static void dense_transform(
        const dense_room *room, const dense_block *block, const Py_ssize_t *lengths,
        Py_ssize_t sessions, Py_ssize_t events
    ) {
        Py_ssize_t dim = room->dim, first = 0;
        dense_normalise(
            room->hidden, events, dim, block->ln_1_weight, block->ln_1_bias, room->normal
        );
        dense_product(
            room->normal, dim, events, dim, block->attend, 3 * dim / PANEL_OF, block->attend_bias,
            room->parts, 3 * dim
        );
        for (Py_ssize_t each = 0; each < sessions; each++) {
            const float *parts = room->parts + first * 3 * dim;
            if (lengths[each] <= DENSE_FEW && dim / room->heads % ACROSS == 0)
                dense_attend_few(room, parts, lengths[each], room->heard + first * dim);
            else
                dense_attend(room, parts, lengths[each], room->heard + first * dim);
            first += lengths[each];
        }
        dense_product(
            room->heard, dim, events, dim, block->project, dim / PANEL_OF, block->project_bias,
            room->normal, dim
        );
        dense_add(room->hidden, room->normal, events * dim);
        dense_normalise(
            room->hidden, events, dim, block->ln_2_weight, block->ln_2_bias, room->normal
        );
        dense_product(
            room->normal, dim, events, dim, block->widen, room->inner / PANEL_OF,
            block->widen_bias, room->wide, room->inner
        );
        dense_gelu(room->wide, events * room->inner);
        dense_product(
            room->wide, room->inner, events, room->inner, block->narrow, dim / PANEL_OF,
            block->narrow_bias, room->normal, dim
        );
        dense_add(room->hidden, room->normal, events * dim);
    }

    /* The query of each session: a mixture of its items, by what its newest event asks for, and
       what that adds; of length 1. `scaled` [events, dim]: the items as they came in. */
    FOR_EACH_WIDTH
    static void dense_ask(
        const dense_room *room, const float *weight, const float *bias, const float *ask,
        const float *add, const float *scaled, const Py_ssize_t *lengths, Py_ssize_t sessions,
        Py_ssize_t events, float *queries
    ) {
        Py_ssize_t dim = room->dim, first = 0;
        float *normal = room->normal, *weights = room->weights;
        dense_normalise(room->hidden, events, dim, weight, bias, normal);
        for (Py_ssize_t each = 0; each < sessions; each++, queries += dim) {
            Py_ssize_t length = lengths[each];
            const float *newest = normal + (first + length - 1) * dim;
            dense_product(newest, dim, 1, dim, ask, dim / PANEL_OF, NULL, room->heard, dim);
            dense_product(newest, dim, 1, dim, add, dim / PANEL_OF, NULL, queries, dim);
            for (Py_ssize_t at = 0; at < length; at++) {
                across sum = {0};
                for (Py_ssize_t k = 0; k < dim; k += ACROSS)
                    sum += *(const across *)(normal + (first + at) * dim + k)
                        * *(const across *)(room->heard + k);
                weights[at] = across_sum(sum);
            }
            dense_softmax(
                weights, length, WHOLE(length) * PANEL_OF, 1.0f / sqrtf((float)dim)
            );
            for (Py_ssize_t at = 0; at < length; at++)
                for (Py_ssize_t k = 0; k < dim; k += ACROSS)
                    *(across *)(queries + k) +=
                        *(const across *)(scaled + (first + at) * dim + k) * weights[at];
            across squares = {0};
            for (Py_ssize_t k = 0; k < dim; k += ACROSS)
                squares += *(across *)(queries + k) * *(across *)(queries + k);
            float norm = sqrtf(across_sum(squares));
            float scale = 1.0f / (norm > 1e-12f ? norm : 1e-12f);
            for (Py_ssize_t k = 0; k < dim; k += ACROSS) *(across *)(queries + k) *= scale;
            first += length;
        }
    }

    /* Scores of rows of `known` numbers: two layers of `width` with ReLU, then one number. What is no
       number stays none. */
    #define TOGETHER 96
    FOR_EACH_WIDTH
    static void dense_weigh(
        const float *rows, Py_ssize_t n, Py_ssize_t known, Py_ssize_t width,
        const float *first, const float *first_bias, const float *second,
        const float *second_bias, const float *last, float last_bias, float *room, float *scores
    ) {
        Py_ssize_t panels = WHOLE(width), wide = panels * PANEL_OF;
        float *one = room, *other = room + TOGETHER * wide;
        across zero = {0};
        for (Py_ssize_t from = 0; from < n; from += TOGETHER) {
            Py_ssize_t some = n - from < TOGETHER ? n - from : TOGETHER;
            dense_product(
                rows + from * known, known, some, known, first, panels, first_bias, one, wide
            );
            for (Py_ssize_t at = 0; at < some * wide; at += ACROSS) {
                across held = *(across *)(one + at);
                *(across *)(one + at) = (across)((across_bits)held & ~(held < zero));
            }
            dense_product(one, wide, some, width, second, panels, second_bias, other, wide);
            for (Py_ssize_t row = 0; row < some; row++) {
                across sum = {0};
                for (Py_ssize_t at = 0; at < wide; at += ACROSS) {
                    across held = *(across *)(other + row * wide + at);
                    sum += (across)((across_bits)held & ~(held < zero))
                        * *(const across *)(last + at);
                }
                scores[from + row] = across_sum(sum) + last_bias;
            }
        }
    }
    #endif
    """
    enum: PANEL_OF
    enum: TOGETHER

    ctypedef struct dense_block:
        const float *ln_1_weight
        const float *ln_1_bias
        const float *attend
        const float *attend_bias
        const float *project
        const float *project_bias
        const float *ln_2_weight
        const float *ln_2_bias
        const float *widen
        const float *widen_bias
        const float *narrow
        const float *narrow_bias

    ctypedef struct dense_room:
        Py_ssize_t dim, heads, inner
        float *hidden
        float *normal
        float *parts
        float *heard
        float *wide
        float *weights
        float *turned
        float *values

    void dense_transform(
        const dense_room *room, const dense_block *block, const Py_ssize_t *lengths,
        Py_ssize_t sessions, Py_ssize_t events
    ) noexcept nogil
    void dense_ask(
        const dense_room *room, const float *weight, const float *bias, const float *ask,
        const float *add, const float *scaled, const Py_ssize_t *lengths, Py_ssize_t sessions,
        Py_ssize_t events, float *queries
    ) noexcept nogil
    void dense_weigh(
        const float *rows, Py_ssize_t n, Py_ssize_t known, Py_ssize_t width,
        const float *first, const float *first_bias, const float *second,
        const float *second_bias, const float *last, float last_bias, float *room, float *scores
    ) noexcept nogil
