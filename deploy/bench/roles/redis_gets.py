"""Lists straight from Redis, in pipelines: by redis-py, and by a socket and hiredis alone."""

import json
import socket
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from urllib.parse import urlsplit

import hiredis
import msgspec
import redis

from endcap.lists import rec_key
from endcap.serving.redis_connection import pack


class Gets(msgspec.Struct, frozen=True):
    """Lists of `users` in turn, `pipeline` a round trip, for `seconds`."""

    url: str
    users: list[str]
    pipeline: int
    seconds: float


def run_gets(asked: Gets) -> dict[str, float]:
    """Lists a second of each way."""
    keys = list(map(rec_key, asked.users))
    rounds = [keys[at : at + asked.pipeline] for at in range(0, len(keys), asked.pipeline)]
    rounds = [row for row in rounds if len(row) == asked.pipeline]
    return {
        "redis_py_per_s": _per_s(_redis_py(asked.url), rounds, asked.seconds),
        "socket_per_s": _per_s(_socket(asked.url), rounds, asked.seconds),
    }


def _per_s(
    get: Callable[[Sequence[str]], list[bytes | None]], rounds: list[list[str]], seconds: float
) -> float:
    started, lists = time.perf_counter(), 0
    for keys in cycle(rounds):
        found = get(keys)
        if None in found:
            raise LookupError("A list is missing.")
        lists += len(found)
        elapsed = time.perf_counter() - started
        if elapsed > seconds:
            return lists / elapsed
    raise LookupError("Nobody to ask for.")


def _redis_py(url: str) -> Callable[[Sequence[str]], list[bytes | None]]:
    client = redis.Redis.from_url(url)

    def get(keys: Sequence[str]) -> list[bytes | None]:
        with client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.get(key)
            found: list[bytes | None] = pipeline.execute()
        return found

    return get


def _socket(url: str) -> Callable[[Sequence[str]], list[bytes | None]]:
    """Of a server without a password, as the local stack's is."""
    place = urlsplit(url)
    connection = socket.create_connection((place.hostname, place.port or 6379))
    reader = hiredis.Reader()

    def get(keys: Sequence[str]) -> list[bytes | None]:
        connection.sendall(b"".join([pack(("GET", key)) for key in keys]))
        found: list[bytes | None] = []
        while len(found) < len(keys):
            reader.feed(connection.recv(1 << 16))
            found += islice(iter(reader.gets, False), len(keys) - len(found))
        return found

    return get


if __name__ == "__main__":
    print(json.dumps(run_gets(msgspec.json.decode(sys.stdin.buffer.read(), type=Gets))))
