# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A ready list's rows found in its bytes, without decoding it.

What `encode_list` writes is read: no blanks, `items` an array of objects that begin with `id`. Any
other JSON is None here, and decoded in Python.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memchr, memcmp, memcpy

cdef enum:
    MOST = 256  # rows


cdef struct row:
    const char *id
    Py_ssize_t id_size
    const char *end  # its closing brace


cdef const char *after_string(const char *at, const char *end) noexcept:
    """Behind the closing quote of the string whose opening quote lies before `at`; NULL: none."""
    cdef const char *quote
    cdef const char *back
    cdef const char *begin = at
    while True:
        quote = <const char *>memchr(at, b'"', end - at)
        if quote == NULL:
            return NULL
        back = quote
        while back > begin and (back - 1)[0] == b'\\':
            back -= 1
        if (quote - back) % 2 == 0:
            return quote + 1
        at = quote + 1


cdef const char *value_end(const char *at, const char *end) noexcept:
    """The comma or closing bracket behind a value, which may hold others; NULL: there is none."""
    cdef Py_ssize_t depth = 0
    cdef char c
    while at < end:
        c = at[0]
        if c == b'"':
            at = after_string(at + 1, end)
            if at == NULL:
                return NULL
            continue
        if c == b'{' or c == b'[':
            depth += 1
        elif c == b'}' or c == b']':
            if depth == 0:
                return at
            depth -= 1
        elif c == b',' and depth == 0:
            return at
        elif c <= b' ':
            return NULL
        at += 1
    return NULL


cdef const char *read_row(const char *at, const char *end, row *found) noexcept:
    """Behind an object that begins with an `id` of plain characters; NULL: it does not."""
    cdef const char *close
    if end - at < 8 or memcmp(at, b'{"id":"', 7) != 0:
        return NULL
    at += 7
    found.id = at
    at = after_string(at, end)
    if at == NULL:
        return NULL
    found.id_size = at - 1 - found.id
    if memchr(found.id, b'\\', found.id_size) != NULL:
        return NULL
    while at < end and at[0] == b',':
        at = value_end(at + 1, end)
        if at == NULL:
            return NULL
    if at >= end or at[0] != b'}':
        return NULL
    found.end = at
    return at + 1


cdef Py_ssize_t read_rows(const char *at, const char *end, row *rows) noexcept:
    """How many rows the list has; -1: it is not of the form that is read here."""
    cdef Py_ssize_t n = -1
    cdef bint is_items
    if end - at < 2 or at[0] != b'{' or (end - 1)[0] != b'}':
        return -1
    end -= 1
    while at < end:  # at a comma, at first at the opening brace
        is_items = end - at > 9 and memcmp(at + 1, b'"items":[', 9) == 0
        if not is_items:
            at = value_end(at + 1, end + 1)
            if at == NULL:
                return -1
        else:
            if n >= 0:
                return -1
            n, at = 0, at + 10
            while at < end and at[0] != b']':
                if n == MOST:
                    return -1
                at = read_row(at, end, &rows[n])
                if at == NULL:
                    return -1
                n += 1
                if at < end and at[0] == b',' and at[1] == b'{':
                    at += 1
                elif at[0] != b']':
                    return -1
            at += 1
        if at < end and at[0] != b',':
            return -1
    return n if at == end else -1


def row_ids(bytes raw not None):
    """The ids of a list's items, in their order."""
    cdef row rows[MOST]
    cdef const char *begin = PyBytes_AS_STRING(raw)
    cdef Py_ssize_t i, n = read_rows(begin, begin + PyBytes_GET_SIZE(raw), rows)
    if n < 0:
        return None
    try:
        return [PyUnicode_DecodeUTF8(rows[i].id, rows[i].id_size, NULL) for i in range(n)]
    except UnicodeDecodeError:
        return None


def with_tails(bytes head not None, bytes raw not None, dict tails not None):
    """The same list with `head` in the place of its opening brace and each row closed by the tail
    of its id; None, too, where a tail is missing."""
    cdef row rows[MOST]
    cdef PyObject *tail
    cdef PyObject *found[MOST]
    cdef const char *begin = PyBytes_AS_STRING(raw)
    cdef const char *end = begin + PyBytes_GET_SIZE(raw)
    cdef Py_ssize_t i, size, n = read_rows(begin, end, rows)
    if n < 0:
        return None
    size = PyBytes_GET_SIZE(head) + (end - begin) - 1
    for i in range(n):
        try:
            tail = PyDict_GetItem(tails, PyUnicode_DecodeUTF8(rows[i].id, rows[i].id_size, NULL))
        except UnicodeDecodeError:
            return None
        if tail == NULL:
            return None
        found[i] = tail
        size += PyBytes_GET_SIZE(<bytes>tail)
    made = PyBytes_FromStringAndSize(NULL, size)
    cdef char *into = PyBytes_AS_STRING(made)
    memcpy(into, PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head))
    into += PyBytes_GET_SIZE(head)
    begin += 1
    for i in range(n):
        memcpy(into, begin, rows[i].end - begin)
        into += rows[i].end - begin
        size = PyBytes_GET_SIZE(<bytes>found[i])
        memcpy(into, PyBytes_AS_STRING(<bytes>found[i]), size)
        into += size
        begin = rows[i].end
    memcpy(into, begin, end - begin)
    return made
