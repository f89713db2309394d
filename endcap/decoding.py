"""Records that others wrote: whatever is wrong with one is one kind of error.

msgspec lets two others through: Python's own for letters that are no UTF-8, and, for lists in lists
a thousand deep, its limit on recursion. Uncaught, one such record ends every worker that reads it.
"""

from typing import Protocol, TypeVar

import msgspec

_T = TypeVar("_T", covariant=True)


class Decoder(Protocol[_T]):
    """One of msgspec's, for JSON or MessagePack."""

    def decode(self, buf: bytes, /) -> _T:
        """The value."""
        ...


def decode_with(decoder: Decoder[_T], raw: bytes) -> _T:
    """What `decoder` makes of it.

    >>> decode_with(msgspec.json.Decoder(list[int]), b"[1, 2]")
    [1, 2]

    Raises:
        msgspec.ValidationError: it is a value of another form.
        msgspec.DecodeError: it is no JSON (or MessagePack), no UTF-8, or nested too deep.
    """
    try:
        return decoder.decode(raw)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"it is not UTF-8 ({error.reason})") from error
    except RecursionError as error:
        raise msgspec.DecodeError("it is nested too deep") from error


def name_in(key: bytes | None) -> str | None:
    """Whom or what a record's key names; None for a key that is none, or no UTF-8.

    >>> name_in(b"u7"), name_in(b"\xff"), name_in(None)
    ('u7', None, None)
    """
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:
        return None
