"""Messages on a stream socket, each behind its length: two processes of one command talk so."""

import struct
from collections.abc import Iterator

_LENGTH = struct.Struct("<I")


def framed(message: bytes) -> bytes:
    """The message behind its length.

    >>> framed(b"ab")
    b'\\x02\\x00\\x00\\x00ab'
    """
    return _LENGTH.pack(len(message)) + message


class Frames:
    """Messages out of pieces as they arrive; what is not whole waits for the rest.

    >>> frames = Frames()
    >>> list(frames.of(b"\\x02\\x00\\x00\\x00a")), list(frames.of(b"b"))
    ([], [b'ab'])
    """

    def __init__(self) -> None:
        self._come = bytearray()

    def of(self, piece: bytes) -> Iterator[bytes]:
        """The messages that are whole with this piece."""
        self._come += piece
        while len(self._come) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._come)[0]
            if len(self._come) < end:
                break
            message = bytes(self._come[_LENGTH.size : end])
            del self._come[:end]
            yield message
