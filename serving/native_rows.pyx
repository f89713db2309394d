# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A ready list's rows found in its bytes, and closed with the facts of their items, undecoded.

What `encode_list` writes is read: no blanks, `items` an array of objects that begin with `id`. Any
other JSON is None here, and decoded in Python.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
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


cdef struct place:
    uint64_t hash
    const char *id  # with the tail behind it; NULL: nothing lies here
    uint32_t id_size
    uint32_t tail_size
    bint is_asked_for


cdef uint64_t hash_of(const char *at, Py_ssize_t size) noexcept:
    """FNV-1a, with its high bits brought down to where a table looks."""
    cdef uint64_t found = 14695981039346656037ULL
    cdef Py_ssize_t i
    for i in range(size):
        found = (found ^ <unsigned char>at[i]) * 1099511628211ULL
    return found ^ (found >> 29)


cdef class Tails:
    """What closes a row, by the row's id. The bytes lie together, id and tail: a dict has two
    objects to look at for each, and needs a third, made of the id, to ask with."""

    cdef place *places
    cdef size_t mask, n

    def __cinit__(self):
        self.n, self.mask = 0, 255
        self.places = <place *>calloc(self.mask + 1, sizeof(place))
        if self.places == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef size_t i
        if self.places != NULL:
            for i in range(self.mask + 1):
                free(<void *>self.places[i].id)
            free(self.places)

    def __len__(self):
        return self.n

    def __contains__(self, str item_id not None):
        return self.found(item_id.encode()).id != NULL

    def __getitem__(self, str item_id not None):
        cdef place *held = self.found(item_id.encode())
        if held.id == NULL:
            raise KeyError(item_id)
        held.is_asked_for = True
        return PyBytes_FromStringAndSize(held.id + held.id_size, held.tail_size)

    def __setitem__(self, str item_id not None, bytes tail not None):
        cdef bytes key = item_id.encode()
        cdef place made
        cdef char *text
        cdef place *held
        made.id_size, made.tail_size = PyBytes_GET_SIZE(key), PyBytes_GET_SIZE(tail)
        text = <char *>malloc(made.id_size + made.tail_size + 1)
        if text == NULL or (2 * self.n > self.mask and not self.grow()):
            free(text)
            raise MemoryError
        memcpy(text, PyBytes_AS_STRING(key), made.id_size)
        memcpy(text + made.id_size, PyBytes_AS_STRING(tail), made.tail_size)
        made.id, made.hash, made.is_asked_for = text, hash_of(text, made.id_size), False
        held = self.find(text, made.id_size)
        if held.id == NULL:
            self.n += 1
        free(<void *>held.id)
        held[0] = made

    def asked_for(self):
        """The ids whose tails have been taken."""
        return [
            PyUnicode_DecodeUTF8(self.places[at].id, self.places[at].id_size, NULL)
            for at in range(self.mask + 1)
            if self.places[at].id != NULL and self.places[at].is_asked_for
        ]

    cdef place *found(self, bytes key) noexcept:
        return self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))

    cdef place *find(self, const char *id, Py_ssize_t size) noexcept:
        """Where an id lies, or would."""
        cdef uint64_t hash = hash_of(id, size)
        cdef size_t at = hash & self.mask
        cdef place *held
        while True:
            held = &self.places[at]
            if held.id == NULL or (
                held.hash == hash and held.id_size == size and memcmp(held.id, id, size) == 0
            ):
                return held
            at = (at + 1) & self.mask

    cdef bint grow(self) noexcept:
        cdef place *before = self.places
        cdef size_t i, n = self.mask + 1
        cdef place *more = <place *>calloc(2 * n, sizeof(place))
        if more == NULL:
            return False
        self.places, self.mask = more, 2 * n - 1
        for i in range(n):
            if before[i].id != NULL:
                self.find(before[i].id, before[i].id_size)[0] = before[i]
        free(before)
        return True

    def joined(self, bytes head not None, bytes raw not None):
        """A list with `head` in the place of its opening brace and each row closed by the tail of
        its id; None, too, where a tail is missing."""
        cdef row rows[MOST]
        cdef place *found[MOST]
        cdef const char *begin = PyBytes_AS_STRING(raw)
        cdef const char *end = begin + PyBytes_GET_SIZE(raw)
        cdef Py_ssize_t i, size, n = read_rows(begin, end, rows)
        cdef char *into
        if n < 0:
            return None
        size = PyBytes_GET_SIZE(head) + (end - begin) - 1
        for i in range(n):
            found[i] = self.find(rows[i].id, rows[i].id_size)
            if found[i].id == NULL:
                return None
            size += found[i].tail_size
        made = PyBytes_FromStringAndSize(NULL, size)
        into = PyBytes_AS_STRING(made)
        memcpy(into, PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head))
        into += PyBytes_GET_SIZE(head)
        begin += 1
        for i in range(n):
            found[i].is_asked_for = True
            memcpy(into, begin, rows[i].end - begin)
            into += rows[i].end - begin
            memcpy(into, found[i].id + found[i].id_size, found[i].tail_size)
            into += found[i].tail_size
            begin = rows[i].end
        memcpy(into, begin, end - begin)
        return made
