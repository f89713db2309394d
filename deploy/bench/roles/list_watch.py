"""Sees lists as a shop would: told by Redis that a key was written, it reads its version.

One connection hears of writes (keyspace notifications), another reads what was written. A list
counts as readable when its version has arrived here: a round trip later than it truly was.
"""

import json
import re
import selectors
import socket
import sys
import time
from pathlib import Path
from typing import Any

import hiredis

_KEYS = "__keyspace@0__:endcap:rec:*"
_VERSION = re.compile(rb'^\{"version":(\d+)')
_HEAD = 31


def watch(host: str, port: int, found: Path) -> None:
    """Until stdin ends: (key, version, Unix nanoseconds) of every write, into `found`."""
    asking, hearing = _Connection(host, port), _Connection(host, port)
    asking.send(("CONFIG", "SET", "notify-keyspace-events", "K$"))
    asking.answers(1)
    hearing.send(("PSUBSCRIBE", _KEYS))
    hearing.answers(1)
    print("watching", flush=True)
    seen: list[tuple[str, int, int]] = []
    with selectors.DefaultSelector() as ready:
        ready.register(hearing.socket, selectors.EVENT_READ)
        ready.register(sys.stdin, selectors.EVENT_READ)
        while all(key.fileobj is not sys.stdin for key, _ in ready.select()):
            messages = hearing.answers(1)
            keys = list(dict.fromkeys(m[2].split(b":", 1)[1].decode() for m in messages))
            asking.send(*(("GETRANGE", key, "0", str(_HEAD)) for key in keys))
            heads = asking.answers(len(keys))
            now = time.time_ns()
            for key, head in zip(keys, heads, strict=True):
                version = _VERSION.match(head)
                if version:
                    seen.append((key, int(version[1]), now))
    found.write_text(json.dumps(seen))


class _Connection:
    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    def send(self, *commands: tuple[Any, ...]) -> None:
        self.socket.sendall(b"".join(hiredis.pack_command(command) for command in commands))

    def answers(self, at_least: int) -> list[Any]:
        """All that have come, when there are so many."""
        found: list[Any] = []
        while True:
            while (answer := self._reader.gets()) is not False:
                found.append(answer)
            if len(found) >= at_least:
                return found
            arrived = self.socket.recv(65_536)
            if not arrived:
                raise ConnectionError("Redis has closed the connection")
            self._reader.feed(arrived)


if __name__ == "__main__":
    watch(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
