"""The first of many numbers, in C: what both compiled paths select and sort by."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy


cdef inline uint64_t falling(float score, uint32_t tie) noexcept nogil:
    """A number that is lower for a higher score, of equals for the lower `tie`. The bits of floats
    that are not negative rise with their value; of negative ones they fall."""
    cdef uint32_t bits
    memcpy(&bits, &score, sizeof(bits))
    bits = bits if bits >> 31 else 0x7FFFFFFFU - bits
    return (<uint64_t>bits) << 32 | tie


cdef inline uint64_t middle(uint64_t a, uint64_t b, uint64_t c) noexcept nogil:
    if a > b:
        a, b = b, a
    if b > c:
        b = c if c > a else a
    return b


cdef inline Py_ssize_t apart(uint64_t *keys, Py_ssize_t n, Py_ssize_t *last) noexcept nogil:
    """Bring what is low before what is high: the low ones end at `last`, the high ones begin at
    what is returned; one in between is neither (Hoare)."""
    cdef Py_ssize_t left = 0, right = n - 1
    cdef uint64_t pivot = middle(keys[0], keys[n >> 1], keys[n - 1])
    while left <= right:
        while keys[left] < pivot:
            left += 1
        while keys[right] > pivot:
            right -= 1
        if left <= right:
            keys[left], keys[right] = keys[right], keys[left]
            left += 1
            right -= 1
    last[0] = right
    return left


cdef inline void sort(uint64_t *keys, Py_ssize_t n) noexcept nogil:
    """Ascending."""
    cdef Py_ssize_t left, right, at, back
    cdef uint64_t key
    while n > 24:
        left = apart(keys, n, &right)
        if right + 1 < n - left:
            sort(keys, right + 1)
            keys, n = keys + left, n - left
        else:
            sort(keys + left, n - left)
            n = right + 1
    for at in range(1, n):
        key, back = keys[at], at
        while back > 0 and keys[back - 1] > key:
            keys[back] = keys[back - 1]
            back -= 1
        keys[back] = key


cdef inline void lowest_first(uint64_t *keys, Py_ssize_t n, Py_ssize_t wanted) noexcept nogil:
    """Bring the `wanted` lowest to the front, in any order."""
    cdef Py_ssize_t left, right
    while n > wanted > 0:
        left = apart(keys, n, &right)
        if wanted <= right + 1:
            n = right + 1
        elif wanted <= left:
            return
        else:
            keys, n, wanted = keys + left, n - left, wanted - left
