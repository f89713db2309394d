"""Sixteen numbers side by side, in C, for whatever width of registers a processor has."""

cdef extern from *:
    """
    #ifndef ENDCAP_ACROSS
    #define ENDCAP_ACROSS
    #include <math.h>
    #include <stdint.h>
    #include <string.h>

    /* The same C for each width of registers that a processor may have. */
    #if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
    #define FOR_EACH_WIDTH __attribute__((target_clones("avx512f", "fma", "default")))
    #define WITHIN static inline __attribute__((always_inline))
    #pragma GCC diagnostic ignored "-Wpsabi"
    #else
    #define FOR_EACH_WIDTH
    #define WITHIN static inline
    #endif
    #define ACROSS 16
    typedef float across __attribute__((vector_size(4 * ACROSS), aligned(4)));
    typedef int32_t across_bits __attribute__((vector_size(4 * ACROSS), aligned(4)));

    /* After Cephes' expf: a polynomial of the fifth degree on [-ln 2 / 2, ln 2 / 2] and the bits of
       the exponent; from e^-87 to e^88. */
    WITHIN across across_exp(across x) {
        across low = {0}, high = {0};
        low -= 87.0f;
        high += 88.0f;
        across_bits below = x < low, above = x > high;
        x = (across)(((across_bits)low & below) | ((across_bits)x & ~below));
        x = (across)(((across_bits)high & above) | ((across_bits)x & ~above));
        across shifted = x * 1.44269504f + 12582912.0f;
        across whole = shifted - 12582912.0f;
        across rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
        across power = rest * 1.9875691500e-4f + 1.3981999507e-3f;
        power = power * rest + 8.3334519073e-3f;
        power = power * rest + 4.1665795894e-2f;
        power = power * rest + 1.6666665459e-1f;
        power = power * rest + 5.0000001201e-1f;
        power = power * rest * rest + rest + 1.0f;
        across_bits scale = (__builtin_convertvector(whole, across_bits) + 127) << 23;
        return power * (across)scale;
    }

    /* Halves are added to halves: four steps, where lane after lane would be sixteen. */
    typedef float across_half __attribute__((vector_size(32), aligned(4)));
    typedef float across_quarter __attribute__((vector_size(16), aligned(4)));
    WITHIN float across_sum(across x) {
        across_half half = ((across_half *)&x)[0] + ((across_half *)&x)[1];
        across_quarter four = ((across_quarter *)&half)[0] + ((across_quarter *)&half)[1];
        return (four[0] + four[2]) + (four[1] + four[3]);
    }

    /* The bits that any lane has. */
    typedef int64_t across_bits_half __attribute__((vector_size(32), aligned(4)));
    typedef int64_t across_bits_quarter __attribute__((vector_size(16), aligned(4)));
    WITHIN uint32_t across_any(across_bits x) {
        across_bits_half half = ((across_bits_half *)&x)[0] | ((across_bits_half *)&x)[1];
        across_bits_quarter four = ((across_bits_quarter *)&half)[0]
            | ((across_bits_quarter *)&half)[1];
        uint64_t two = (uint64_t)(four[0] | four[1]);
        return (uint32_t)(two | two >> 32);
    }
    #endif
    """
    enum: ACROSS
