"""JSON that others wrote: whatever is wrong with it is one kind of error.

msgspec lets two others through: Python's own for letters that are no UTF-8, and, for lists in lists
a thousand deep, its limit on recursion. Uncaught, one such record ends every worker that reads it.
"""

from typing import TypeVar

import msgspec

_T = TypeVar("_T")


def read_json(decoder: msgspec.json.Decoder[_T], raw: bytes) -> _T:
    """What `decoder` makes of it.

    >>> read_json(msgspec.json.Decoder(list[int]), b"[1, 2]")
    [1, 2]

    Raises:
        msgspec.ValidationError: it is JSON of another form.
        msgspec.DecodeError: it is no JSON, no UTF-8, or nested too deep.
    """
    try:
        return decoder.decode(raw)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"it is not UTF-8 ({error.reason})") from error
    except RecursionError as error:
        raise msgspec.DecodeError("it is nested too deep") from error
