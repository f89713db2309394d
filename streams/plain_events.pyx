# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The common case of a batch, from the bytes of events to the bytes of snapshots.

No rule of the fold is here but one: where in a shopper's tail an act goes. An event is plain if
it is ASCII JSON of the fields of `endcap.events.Event` alone, without escapes, and valid; a shopper
is plain if all of their events in the batch are, and their snapshot as well: nobody logged in, and
the tail stays below the length at which it is sealed. Everything else is handed back untouched for
`BatchFold`, which says what is right: for the same records both give the same bytes
(tests/unit/test_plain_events.py). In doubt it is not plain. A field that it does not know makes an
event doubtful, so what is added to events or snapshots is right here before it is quick.

One long file: calls across modules of C would cost what it saves. From the top: bytes written, the
batch, JSON, msgpack, the tail.

What is read: JSON (RFC 8259) and msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeASCII
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

import msgspec
from xxhash import xxh3_64_digest

from endcap.events import MAX_FUTURE_MS, MAX_ID_LENGTH, MAX_ITEMS, EventType
from endcap.streams.item_deltas import COUNTED, LINES_A_RECORD, ItemDelta
from endcap.timeline import REMEMBERED_IDS, SEAL_AT
from endcap.wrong_fields import EARLIEST_MS

cdef enum:
    DIGEST = 8
    LONGEST_TAIL = 16
    TYPES = 12
    APPEND_TIME = 1

cdef enum Fate:
    DOUBTFUL, PLAIN, FOLDED, DUPLICATE, REFUSED

cdef struct Span:
    const uint8_t *at
    Py_ssize_t size

cdef struct Cursor:
    const uint8_t *at
    const uint8_t *end

cdef struct PlainEvent:
    Fate fate
    int64_t offset
    int64_t arrived_ms
    int64_t when_ms
    int code
    uint8_t digest[DIGEST]
    Py_ssize_t first_item
    Py_ssize_t items
    Py_ssize_t next_of_shopper

cdef struct Act:
    int64_t when_ms
    int64_t code
    const uint8_t *digest
    Span raw  # of the snapshot; empty for an act of this batch
    PlainEvent *event

cdef struct Timeline:
    Span session_before
    Act[LONGEST_TAIL] tail
    int acts
    Span remembered
    int64_t newest_ms
    Span sealed
    int64_t sealed_ms
    int64_t source_offset

cdef struct TypeName:
    const char *name
    Py_ssize_t size
    int code
    bint needs_items
    bint counted
    Span delta_kind


cdef class Bytes:
    """Bytes that grow at their end."""

    cdef uint8_t *start
    cdef Py_ssize_t size
    cdef Py_ssize_t room

    def __dealloc__(self):
        PyMem_Free(self.start)

    cdef int reserve(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t room
        cdef void *moved
        if self.size + more > self.room:
            room = 2 * (self.size + more)
            moved = PyMem_Realloc(self.start, room)
            if moved == NULL:
                raise MemoryError
            self.start, self.room = <uint8_t *>moved, room
        return 0

    cdef int byte(self, uint8_t value) except -1:
        self.reserve(1)
        self.start[self.size] = value
        self.size += 1
        return 0

    cdef int span(self, const void *at, Py_ssize_t size) except -1:
        self.reserve(size)
        memcpy(self.start + self.size, at, size)
        self.size += size
        return 0

    cdef int big_endian(self, uint64_t value, int width) except -1:
        cdef int at
        self.reserve(width)
        for at in range(width):
            self.start[self.size + at] = (value >> (8 * (width - 1 - at))) & 0xFF
        self.size += width
        return 0

    cdef int packed_int(self, int64_t value) except -1:
        """Msgpack, in as few bytes as it takes, as msgspec writes it. Not negative."""
        if value < 0x80:
            return self.byte(<uint8_t>value)
        if value < 0x100:
            self.byte(0xCC)
            return self.big_endian(value, 1)
        if value < 0x10000:
            self.byte(0xCD)
            return self.big_endian(value, 2)
        if value < 0x100000000:
            self.byte(0xCE)
            return self.big_endian(value, 4)
        self.byte(0xCF)
        return self.big_endian(value, 8)

    cdef int packed_str(self, Span text) except -1:
        if text.size < 32:
            self.byte(0xA0 | <uint8_t>text.size)
        elif text.size < 0x100:
            self.byte(0xD9)
            self.byte(<uint8_t>text.size)
        else:
            self.byte(0xDA)
            self.big_endian(text.size, 2)
        return self.span(text.at, text.size)

    cdef int packed_array(self, Py_ssize_t count) except -1:
        if count < 16:
            return self.byte(0x90 | <uint8_t>count)
        self.byte(0xDC)
        return self.big_endian(count, 2)

    cdef int packed_bin(self, Py_ssize_t size) except -1:
        """The head of that many bytes."""
        if size < 0x100:
            self.byte(0xC4)
            return self.big_endian(size, 1)
        self.byte(0xC5)
        return self.big_endian(size, 2)

    cdef int decimal(self, int64_t value) except -1:
        cdef uint8_t[20] digits
        cdef int at = 20
        if value == 0:
            return self.byte(c"0")
        while value:
            at -= 1
            digits[at] = <uint8_t>(48 + value % 10)
            value //= 10
        return self.span(digits + at, 20 - at)


cdef class PlainEvents:
    """A batch of records, of which it takes those that are plain.

    In this order: the constructor reads the events; `doubtful()` says where it leaves the reading
    to others; `fold()` folds all but the shoppers who are refused; `deltas()` comes last.
    `users`: the shoppers of what it read, in the order of their first events. `first`: the index
    of the first event that it read, -1 for none. After `fold()`: `folded` and `duplicates` count
    events, `newest_ms` is the newest event time among the snapshots, `kinds` how many were
    folded of each type, by its code.
    """

    cdef readonly dict users
    cdef public Py_ssize_t first
    cdef readonly Py_ssize_t folded
    cdef readonly Py_ssize_t duplicates
    cdef readonly int64_t newest_ms
    cdef Py_ssize_t[256] _kinds
    cdef list _records
    cdef Bytes _out
    cdef Bytes _known
    cdef PlainEvent *_events
    cdef Py_ssize_t _count
    cdef Span *_items
    cdef Py_ssize_t _items_used
    cdef Py_ssize_t _items_room
    cdef Py_ssize_t *_shoppers  # the first event of each, then the last
    cdef int64_t _partition

    def __init__(self, list records, int64_t partition, int64_t now_ms):
        cdef Py_ssize_t index
        self._records = records
        self._partition = partition
        self._count = len(records)
        self._out, self._known = Bytes(), Bytes()
        self.users = {}
        self.first = -1
        self._events = <PlainEvent *>PyMem_Malloc((self._count + 1) * sizeof(PlainEvent))
        self._shoppers = <Py_ssize_t *>PyMem_Malloc((self._count + 1) * 2 * sizeof(Py_ssize_t))
        if self._events == NULL or self._shoppers == NULL:
            raise MemoryError
        for index in range(256):
            self._kinds[index] = 0
        for index in range(self._count):
            self._events[index].fate = DOUBTFUL
        for index in range(self._count):
            self._read(index, records[index], now_ms)

    def __dealloc__(self):
        PyMem_Free(self._events)
        PyMem_Free(self._items)
        PyMem_Free(self._shoppers)

    @property
    def kinds(self):
        cdef Py_ssize_t code
        return {code: self._kinds[code] for code in range(256) if self._kinds[code]}

    def doubtful(self):
        """The indexes of the records that are not plain."""
        cdef Py_ssize_t index
        return [index for index in range(self._count) if self._events[index].fate == DOUBTFUL]

    def fold(self, refused, look_up, int64_t lateness_ms):
        """Fold the shoppers who are plain and not in `refused`.

        Returns their new snapshots by user id, and the records that it leaves to others.
        """
        cdef dict rows = {}
        cdef Py_ssize_t shopper = 0
        cdef Py_ssize_t index
        cdef str user_id
        for user_id in self.users:
            if user_id in refused or not self._fold_one(
                user_id, shopper, look_up(user_id), lateness_ms, rows
            ):
                self._refuse(shopper)
            shopper += 1
        left = []
        for index in range(self._count):
            fate = self._events[index].fate
            if fate == FOLDED:
                self.folded += 1
                self._kinds[self._events[index].code & 255] += 1
            elif fate == DUPLICATE:
                self.duplicates += 1
            else:
                left.append(self._records[index])
        return rows, left

    def deltas(self, others):
        """JSON records of item deltas: of what was folded here, and of `others` between them.

        By offset, in records as long as those of `encode_deltas`.
        """
        cdef Bytes out = self._out
        cdef PlainEvent *event
        cdef Py_ssize_t index
        cdef Py_ssize_t lines = 0
        cdef list done = []
        cdef Py_ssize_t other = 0
        cdef Py_ssize_t count_others = len(others)
        cdef int64_t other_offset
        out.size = 0
        for index in range(self._count):
            event = &self._events[index]
            if event.fate != FOLDED or not _types[event.code].counted:
                continue
            while other < count_others:
                other_offset = others[other].source_offset
                if other_offset > event.offset:
                    break
                lines = self._begin_line(done, lines, len(others[other].item_ids))
                self._add(msgspec.json.encode(others[other]))
                other += 1
            lines = self._begin_line(done, lines, event.items)
            self._add_delta(event)
        while other < count_others:
            lines = self._begin_line(done, lines, len(others[other].item_ids))
            self._add(msgspec.json.encode(others[other]))
            other += 1
        if out.size:
            out.byte(c"]")
            done.append(PyBytes_FromStringAndSize(<char *>out.start, out.size))
        return done

    cdef Py_ssize_t _begin_line(self, list done, Py_ssize_t lines, Py_ssize_t more) except -1:
        cdef Bytes out = self._out
        if out.size and lines + more > LINES:
            out.byte(c"]")
            done.append(PyBytes_FromStringAndSize(<char *>out.start, out.size))
            out.size = lines = 0
        out.byte(c"," if out.size else c"[")
        return lines + more

    cdef int _add(self, bytes line) except -1:
        return self._out.span(PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line))

    cdef int _add_delta(self, PlainEvent *event) except -1:
        cdef Bytes out = self._out
        cdef Span kind = _types[event.code].delta_kind
        cdef Py_ssize_t item
        out.byte(c"[")
        out.decimal(self._partition)
        out.byte(c",")
        out.decimal(event.offset)
        out.byte(c",")
        out.span(kind.at, kind.size)
        out.byte(c",")
        out.decimal(event.when_ms)
        out.span(",[", 2)
        for item in range(event.items):
            out.span(',"' if item else '"', 2 if item else 1)
            out.span(
                self._items[event.first_item + item].at, self._items[event.first_item + item].size
            )
            out.byte(c'"')
        return out.span(PyBytes_AS_STRING(_DELTA_END), PyBytes_GET_SIZE(_DELTA_END))

    cdef int _read(self, Py_ssize_t index, record, int64_t now_ms) except -1:
        cdef PlainEvent *event = &self._events[index]
        cdef Py_ssize_t items_before = self._items_used
        cdef Span event_id, user_id
        cdef Cursor cursor
        cdef Py_ssize_t shopper
        value = record.value
        if type(value) is not bytes or record.headers:
            return 0
        event.offset = record.offset
        event.arrived_ms = record.timestamp
        # A producer's clock may run ahead; the broker's is the same for all.
        if event.arrived_ms > now_ms and record.timestamp_type != APPEND_TIME:
            event.arrived_ms = now_ms
        cursor.at = <const uint8_t *>PyBytes_AS_STRING(value)
        cursor.end = cursor.at + PyBytes_GET_SIZE(value)
        if event.offset < 0 or event.arrived_ms < 0 or not self._is_plain(
            &cursor, event, &event_id, &user_id
        ):
            self._items_used = items_before
            return 0
        digest = xxh3_64_digest(PyBytes_FromStringAndSize(<char *>event_id.at, event_id.size))
        memcpy(event.digest, PyBytes_AS_STRING(digest), DIGEST)
        user = PyUnicode_DecodeASCII(<char *>user_id.at, user_id.size, NULL)
        known = self.users.get(user)
        if known is None:
            shopper = len(self.users)
            self.users[user] = shopper
            self._shoppers[2 * shopper] = index
        else:
            shopper = known
            self._events[self._shoppers[2 * shopper + 1]].next_of_shopper = index
        self._shoppers[2 * shopper + 1] = index
        event.next_of_shopper = -1
        event.fate = PLAIN
        if self.first < 0:
            self.first = index
        return 0

    cdef bint _is_plain(
        self, Cursor *cursor, PlainEvent *event, Span *event_id, Span *user_id
    ) except -1:
        cdef Span key, text
        cdef int seen = 0
        cdef int field
        cdef int64_t when_ms = 0
        cdef int code = 0
        cdef bint has_transaction = False
        event.first_item = self._items_used
        event.items = 0
        if not take(cursor, c"{"):
            return False
        while True:
            if not take_string(cursor, &key) or not take(cursor, c":"):
                return False
            field = field_of(key)
            if field == 0 or seen & field:
                return False
            seen |= field
            if field == EVENT_ID:
                if not take_id(cursor, event_id):
                    return False
            elif field == USER_ID:
                if not take_id(cursor, user_id):
                    return False
            elif field == EVENT_NAME:
                if not take_string(cursor, &text):
                    return False
                code = code_of(text)
            elif field == TIMESTAMP_MS:
                if not take_whole(cursor, &when_ms):
                    return False
            elif field == ITEMS:
                if not self._take_items(cursor, event):
                    return False
            elif not take_null(cursor):  # the strings that may be null
                if not take_string(cursor, &text):
                    return False
                if field == TRANSACTION_ID:
                    has_transaction = text.size > 0
                elif field == CONSENT and not equals(text, "granted", 7):
                    return False
            if take(cursor, c","):
                continue
            if take(cursor, c"}"):
                break
            return False
        skip_space(cursor)
        if cursor.at != cursor.end or seen & REQUIRED != REQUIRED:
            return False
        if code == 0 or code == IDENTIFY or (code == PURCHASE and not has_transaction):
            return False
        if _types[code].needs_items and event.items == 0:
            return False
        event.when_ms, event.code = when_ms, code
        return EARLIEST <= when_ms <= event.arrived_ms + FUTURE_MS

    cdef bint _take_items(self, Cursor *cursor, PlainEvent *event) except -1:
        if not take(cursor, c"["):
            return False
        if take(cursor, c"]"):
            return True
        while True:
            if event.items == MOST_ITEMS:
                return False
            if self._items_used == self._items_room:
                self._make_room()
            if not take_item(cursor, &self._items[self._items_used]):
                return False
            self._items_used += 1
            event.items += 1
            if take(cursor, c","):
                continue
            return take(cursor, c"]")

    cdef int _make_room(self) except -1:
        cdef Py_ssize_t room = 2 * self._items_room + self._count + 16
        cdef void *moved = PyMem_Realloc(self._items, room * sizeof(Span))
        if moved == NULL:
            raise MemoryError
        self._items, self._items_room = <Span *>moved, room
        return 0

    cdef void _refuse(self, Py_ssize_t shopper) noexcept:
        cdef Py_ssize_t index = self._shoppers[2 * shopper]
        while index >= 0:
            self._events[index].fate = REFUSED
            index = self._events[index].next_of_shopper

    cdef bint _fold_one(
        self, str user_id, Py_ssize_t shopper, raw, int64_t lateness_ms, dict rows
    ) except -1:
        """`OpenTimeline.place` of each event, and `close`, where nothing is late or sealed."""
        cdef Timeline timeline
        cdef Cursor cursor
        cdef Bytes known = self._known
        cdef Py_ssize_t index = self._shoppers[2 * shopper]
        cdef PlainEvent *event
        cdef PlainEvent *last = NULL
        timeline.acts = 0
        timeline.newest_ms = 0
        timeline.remembered.size = 0
        timeline.sealed.size = 0
        timeline.session_before.size = 0
        if raw is not None:
            if type(raw) is not bytes:
                return False
            cursor.at = <const uint8_t *>PyBytes_AS_STRING(raw)
            cursor.end = cursor.at + PyBytes_GET_SIZE(raw)
            if not take_snapshot(&cursor, &timeline):
                return False
            if timeline.source_offset >= self._events[index].offset:
                return False
        known.size = 0
        known.span(timeline.remembered.at, timeline.remembered.size)
        while index >= 0:
            event = &self._events[index]
            index = event.next_of_shopper
            if holds(known, event.digest) or (
                known.size >= REMEMBERED and tail_holds(&timeline, event.digest)
            ):
                event.fate = DUPLICATE
                continue
            if event.when_ms > timeline.newest_ms:
                timeline.newest_ms = max(
                    timeline.newest_ms, min(event.when_ms, event.arrived_ms)
                )
            elif event.when_ms < timeline.newest_ms - lateness_ms:
                return False
            if timeline.sealed.size and event.when_ms <= timeline.sealed_ms:
                return False
            if not place(&timeline, event):
                return False
            known.span(event.digest, DIGEST)
            event.fate = FOLDED
            last = event
        if last != NULL:
            rows[user_id] = self._snapshot(user_id, &timeline, last)
            self.newest_ms = max(self.newest_ms, timeline.newest_ms)
        return True

    cdef bytes _snapshot(self, str user_id, Timeline *timeline, PlainEvent *last):
        cdef Bytes out = self._out
        cdef Bytes known = self._known
        cdef Span user
        cdef int at
        cdef Py_ssize_t kept
        out.size = 0
        out.packed_array(4)
        out.packed_array(6)
        if timeline.session_before.size:
            out.span(timeline.session_before.at, timeline.session_before.size)
        else:
            user.at = <const uint8_t *>PyUnicode_AsUTF8AndSize(user_id, &user.size)
            out.packed_array(6)
            out.packed_str(user)
            out.span(b"\x90\x90\x90\x00\x00", 5)
        out.packed_array(timeline.acts)
        for at in range(timeline.acts):
            if timeline.tail[at].event == NULL:
                out.span(timeline.tail[at].raw.at, timeline.tail[at].raw.size)
            else:
                self._add_act(timeline.tail[at].event)
        kept = min(known.size, REMEMBERED)
        out.packed_bin(kept)
        out.span(known.start + known.size - kept, kept)
        out.packed_int(timeline.newest_ms)
        if timeline.sealed.size:
            out.span(timeline.sealed.at, timeline.sealed.size)
        else:
            out.byte(0xC0)
        out.byte(0xC0)
        out.packed_int(self._partition)
        out.packed_int(last.offset)
        out.packed_int(last.arrived_ms)
        return PyBytes_FromStringAndSize(<char *>out.start, out.size)

    cdef int _add_act(self, PlainEvent *event) except -1:
        cdef Bytes out = self._out
        cdef Py_ssize_t item
        out.packed_array(4)
        out.packed_int(event.when_ms)
        out.packed_int(event.code)
        out.packed_bin(DIGEST)
        out.span(event.digest, DIGEST)
        out.packed_array(event.items)
        for item in range(event.items):
            out.packed_str(self._items[event.first_item + item])
        return 0


# JSON: each `take_...` moves the cursor behind what it takes, or says no.

cdef enum:
    EVENT_ID = 1
    USER_ID = 2
    EVENT_NAME = 4
    TIMESTAMP_MS = 8
    REQUIRED = 15
    ITEMS = 16
    TRANSACTION_ID = 32
    SEARCH_TERM = 64
    ANONYMOUS_ID = 128
    ITEM_ID = 256
    PRICE = 512
    QUANTITY = 1024
    CONSENT = 2048


cdef inline void skip_space(Cursor *cursor) noexcept:
    while cursor.at < cursor.end and (
        cursor.at[0] == c" "
        or cursor.at[0] == c"\n"
        or cursor.at[0] == c"\r"
        or cursor.at[0] == c"\t"
    ):
        cursor.at += 1


cdef inline bint take(Cursor *cursor, char mark) noexcept:
    skip_space(cursor)
    if cursor.at < cursor.end and cursor.at[0] == mark:
        cursor.at += 1
        return True
    return False


cdef inline bint take_string(Cursor *cursor, Span *text) noexcept:
    """ASCII without control characters and escapes."""
    cdef const uint8_t *at
    if not take(cursor, c'"'):
        return False
    at = cursor.at
    while at < cursor.end and at[0] != c'"':
        if at[0] < 0x20 or at[0] > 0x7E or at[0] == c"\\":
            return False
        at += 1
    if at == cursor.end:
        return False
    text.at, text.size = cursor.at, at - cursor.at
    cursor.at = at + 1
    return True


cdef inline bint take_id(Cursor *cursor, Span *text) noexcept:
    return take_string(cursor, text) and 1 <= text.size <= LONGEST_ID


cdef inline bint take_digits(Cursor *cursor, int at_most, int64_t *value) noexcept:
    cdef const uint8_t *start = cursor.at
    value[0] = 0
    while cursor.at < cursor.end and c"0" <= cursor.at[0] <= c"9":
        if cursor.at - start == at_most:
            return False
        value[0] = 10 * value[0] + (cursor.at[0] - 48)
        cursor.at += 1
    return cursor.at > start


cdef inline bint take_whole(Cursor *cursor, int64_t *value) noexcept:
    """At least 1, at most 18 digits: the value fits."""
    skip_space(cursor)
    if cursor.at < cursor.end and cursor.at[0] == c"0":
        return False
    return take_digits(cursor, 18, value)


cdef inline bint take_price(Cursor *cursor) noexcept:
    """Not negative, no exponent, few digits: a float in any reading."""
    cdef int64_t digits
    skip_space(cursor)
    if cursor.at < cursor.end and cursor.at[0] == c"0":
        cursor.at += 1
    elif not take_digits(cursor, 15, &digits):
        return False
    if cursor.at < cursor.end and cursor.at[0] == c".":
        cursor.at += 1
        return take_digits(cursor, 18, &digits)
    return True


cdef inline bint take_null(Cursor *cursor) noexcept:
    skip_space(cursor)
    if cursor.end - cursor.at < 4 or memcmp(cursor.at, "null", 4):
        return False
    cursor.at += 4
    return True


cdef inline bint take_item(Cursor *cursor, Span *item_id) noexcept:
    cdef Span key
    cdef int field
    cdef int seen = 0
    cdef int64_t quantity
    if not take(cursor, c"{"):
        return False
    while True:
        if not take_string(cursor, &key) or not take(cursor, c":"):
            return False
        field = item_field_of(key)
        if field == 0 or seen & field:
            return False
        seen |= field
        if field == ITEM_ID:
            if not take_id(cursor, item_id):
                return False
        elif field == QUANTITY:
            if not take_whole(cursor, &quantity):
                return False
        elif not take_null(cursor) and not take_price(cursor):
            return False
        if take(cursor, c","):
            continue
        return take(cursor, c"}") and seen & ITEM_ID


cdef inline bint equals(Span text, const char *other, Py_ssize_t size) noexcept:
    return text.size == size and memcmp(text.at, other, size) == 0


cdef inline int field_of(Span key) noexcept:
    if equals(key, "event_id", 8):
        return EVENT_ID
    if equals(key, "user_id", 7):
        return USER_ID
    if equals(key, "event_name", 10):
        return EVENT_NAME
    if equals(key, "timestamp_ms", 12):
        return TIMESTAMP_MS
    if equals(key, "items", 5):
        return ITEMS
    if equals(key, "transaction_id", 14):
        return TRANSACTION_ID
    if equals(key, "search_term", 11):
        return SEARCH_TERM
    if equals(key, "anonymous_id", 12):
        return ANONYMOUS_ID
    if equals(key, "consent", 7):
        return CONSENT
    return 0


cdef inline int item_field_of(Span key) noexcept:
    if equals(key, "item_id", 7):
        return ITEM_ID
    if equals(key, "price", 5):
        return PRICE
    if equals(key, "quantity", 8):
        return QUANTITY
    return 0


cdef inline int code_of(Span name) noexcept:
    cdef int code
    for code in range(1, TYPES + 1):
        if equals(name, _types[code].name, _types[code].size):
            return code
    return 0


# Msgpack: a snapshot of exactly today's shape, or no.

cdef bint take_snapshot(Cursor *cursor, Timeline *timeline) noexcept:
    cdef Py_ssize_t acts
    cdef int64_t number
    cdef Span text
    if not take_array(cursor, &acts) or acts != 4 or not take_array(cursor, &acts) or acts != 6:
        return False
    if not take_session(cursor, &timeline.session_before):
        return False
    if not take_array(cursor, &acts) or acts > LONGEST_TAIL:
        return False
    while timeline.acts < acts:
        if not take_act(cursor, &timeline.tail[timeline.acts]):
            return False
        if timeline.acts and not precedes(
            &timeline.tail[timeline.acts - 1], &timeline.tail[timeline.acts]
        ):
            return False
        timeline.acts += 1
    if not take_bin(cursor, &timeline.remembered) or timeline.remembered.size % DIGEST:
        return False
    if not take_int(cursor, &timeline.newest_ms) or not take_sealed(cursor, timeline):
        return False
    if cursor.at == cursor.end or cursor.at[0] != 0xC0:  # links
        return False
    cursor.at += 1
    return (
        take_int(cursor, &number)
        and take_int(cursor, &timeline.source_offset)
        and take_int(cursor, &number)
        and cursor.at == cursor.end
    )


cdef bint take_session(Cursor *cursor, Span *session) noexcept:
    cdef Py_ssize_t fields
    session.at = cursor.at
    if not take_array(cursor, &fields) or fields != 6:
        return False
    while fields:
        if not take_any(cursor):
            return False
        fields -= 1
    session.size = cursor.at - session.at
    return True


cdef bint take_act(Cursor *cursor, Act *act) noexcept:
    cdef Py_ssize_t count
    cdef Span digest
    act.event = NULL
    act.raw.at = cursor.at
    if not take_array(cursor, &count) or count != 4:
        return False
    if not take_int(cursor, &act.when_ms) or not take_int(cursor, &act.code):
        return False
    if not take_bin(cursor, &digest) or digest.size != DIGEST:
        return False
    act.digest = digest.at
    if not take_any(cursor):
        return False
    act.raw.size = cursor.at - act.raw.at
    return True


cdef bint take_sealed(Cursor *cursor, Timeline *timeline) noexcept:
    cdef Act sealed
    if cursor.at < cursor.end and cursor.at[0] == 0xC0:
        cursor.at += 1
        return True
    if not take_act(cursor, &sealed):
        return False
    timeline.sealed, timeline.sealed_ms = sealed.raw, sealed.when_ms
    return True


cdef inline bint take_big_endian(Cursor *cursor, int width, int64_t *value) noexcept:
    """False where it does not fit."""
    cdef uint64_t found = 0
    cdef int at
    if cursor.end - cursor.at < width:
        return False
    for at in range(width):
        found = found << 8 | cursor.at[at]
    cursor.at += width
    value[0] = <int64_t>found
    return value[0] >= 0


cdef inline bint take_int(Cursor *cursor, int64_t *value) noexcept:
    """Not negative."""
    cdef uint8_t head
    if cursor.at == cursor.end:
        return False
    head = cursor.at[0]
    cursor.at += 1
    if head < 0x80:
        value[0] = head
        return True
    if 0xCC <= head <= 0xCF:
        return take_big_endian(cursor, 1 << (head - 0xCC), value)
    return False


cdef inline bint take_array(Cursor *cursor, Py_ssize_t *count) noexcept:
    cdef uint8_t head
    cdef int64_t size
    if cursor.at == cursor.end:
        return False
    head = cursor.at[0]
    cursor.at += 1
    if 0x90 <= head <= 0x9F:
        count[0] = head & 0x0F
        return True
    if head != 0xDC or not take_big_endian(cursor, 2, &size):
        return False
    count[0] = size
    return True


cdef inline bint take_bin(Cursor *cursor, Span *found) noexcept:
    cdef uint8_t head
    cdef int64_t size
    if cursor.at == cursor.end:
        return False
    head = cursor.at[0]
    cursor.at += 1
    if not (head == 0xC4 or head == 0xC5):
        return False
    if not take_big_endian(cursor, head - 0xC3, &size) or cursor.end - cursor.at < size:
        return False
    found.at, found.size = cursor.at, size
    cursor.at += size
    return True


cdef bint take_any(Cursor *cursor) noexcept:
    """One value of those that sessions and acts are made of, with all in it."""
    cdef int64_t waiting = 1
    cdef int64_t size
    cdef uint8_t head
    while waiting:
        waiting -= 1
        if cursor.at == cursor.end:
            return False
        head = cursor.at[0]
        cursor.at += 1
        size = 0
        if head < 0x80:  # a small int
            pass
        elif 0x90 <= head <= 0x9F:
            waiting += head & 0x0F
        elif 0xA0 <= head <= 0xBF:
            size = head & 0x1F
        elif 0xCC <= head <= 0xCF:
            size = 1 << (head - 0xCC)
        elif head == 0xCB:  # a float
            size = 8
        elif 0xD9 <= head <= 0xDA:  # text
            if not take_big_endian(cursor, head - 0xD8, &size):
                return False
        elif head == 0xDC:
            if not take_big_endian(cursor, 2, &size):
                return False
            waiting += size
            size = 0
        else:
            return False
        if cursor.end - cursor.at < size:
            return False
        cursor.at += size
    return True


# The tail.

cdef inline bint holds(Bytes known, const uint8_t *digest) noexcept:
    cdef Py_ssize_t at
    for at in range(0, known.size, DIGEST):
        if memcmp(known.start + at, digest, DIGEST) == 0:
            return True
    return False


cdef inline bint tail_holds(Timeline *timeline, const uint8_t *digest) noexcept:
    cdef int at
    for at in range(timeline.acts):
        if memcmp(timeline.tail[at].digest, digest, DIGEST) == 0:
            return True
    return False


cdef bint place(Timeline *timeline, PlainEvent *event) noexcept:
    """Put it behind the last act that is not newer; False where the tail would be sealed.

    False, too, for the order that only the items could tell.
    """
    cdef int at = timeline.acts
    cdef int order
    if timeline.acts == LONGEST_TAIL:
        return False
    while at > 0:
        order = compared(event, &timeline.tail[at - 1])
        if order == 0:
            return False
        if order > 0:
            break
        timeline.tail[at] = timeline.tail[at - 1]
        at -= 1
    timeline.tail[at].when_ms = event.when_ms
    timeline.tail[at].code = event.code
    timeline.tail[at].digest = event.digest
    timeline.tail[at].event = event
    timeline.acts += 1
    return True


cdef inline bint precedes(Act *one, Act *other) noexcept:
    if one.when_ms != other.when_ms:
        return one.when_ms < other.when_ms
    if one.code != other.code:
        return one.code < other.code
    return memcmp(one.digest, other.digest, DIGEST) < 0


cdef inline int compared(PlainEvent *event, Act *act) noexcept:
    """Acts' own order: time, type, digest."""
    if event.when_ms != act.when_ms:
        return 1 if event.when_ms > act.when_ms else -1
    if event.code != act.code:
        return 1 if event.code > act.code else -1
    return memcmp(event.digest, act.digest, DIGEST)


# What the rest of endcap says, once.

cdef Py_ssize_t LONGEST_ID = MAX_ID_LENGTH
cdef Py_ssize_t MOST_ITEMS = MAX_ITEMS
cdef int64_t FUTURE_MS = MAX_FUTURE_MS
cdef int64_t EARLIEST = EARLIEST_MS
cdef Py_ssize_t REMEMBERED = REMEMBERED_IDS * DIGEST
cdef Py_ssize_t LINES = LINES_A_RECORD
cdef int IDENTIFY = EventType.IDENTIFY.code
cdef int PURCHASE = EventType.PURCHASE.code
cdef TypeName[TYPES + 1] _types
cdef list _names = [None] * (TYPES + 1)
"""What `_types` points into."""
cdef bytes _DELTA_END


def _learn():
    """Raises RuntimeError where the rest of endcap has moved on."""
    global _DELTA_END
    if SEAL_AT != LONGEST_TAIL or len(EventType) != TYPES:
        raise RuntimeError("plain_events.pyx does not fit endcap.timeline or endcap.events")
    for member in EventType:
        kind = COUNTED.get(member.code)
        name = member.value.encode(), msgspec.json.encode(kind)
        _names[member.code] = name
        _types[member.code] = TypeName(
            name=name[0],
            size=len(name[0]),
            code=member.code,
            needs_items=member.needs_items,
            counted=kind is not None,
            delta_kind=Span(at=<const uint8_t *>PyBytes_AS_STRING(name[1]), size=len(name[1])),
        )
    known, begins = msgspec.json.encode(ItemDelta(1, 2, "view", 3, ())), b'[1,2,"view",3,['
    if not known.startswith(begins):
        raise RuntimeError("plain_events.pyx does not fit endcap.streams.item_deltas")
    _DELTA_END = known[len(begins) :]


_learn()
