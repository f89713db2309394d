"""What several unit tests stand on."""

import contextlib
import socket
from collections.abc import Iterator

import pytest


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A pair of sockets, as two processes of one command share it."""
    ours, theirs = socket.socketpair()
    with contextlib.closing(ours), contextlib.closing(theirs):
        yield ours, theirs
        # A thread that still reads at one of them hears of the end, and leaves before it is closed.
        for end in (ours, theirs):
            with contextlib.suppress(OSError):  # closed by the test
                end.shutdown(socket.SHUT_RDWR)
