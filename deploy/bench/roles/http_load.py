"""HTTP/1.1 requests over kept-alive connections, from one process that does nothing else.

A loop of its own over `select`, whose timeout is in microseconds: event loops round theirs up to a
millisecond, which is more than an answer takes. One request at a time on a connection.
"""

import select
import socket
import sys
import time
from collections import deque

import msgspec

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Load(msgspec.Struct, frozen=True):
    """`rate`: requests a second, begun at even distances whatever is still unanswered; 0: each
    connection asks again as soon as it is answered. `requests`: asked in turn."""

    port: int
    requests: list[str]
    connections: int
    seconds: float
    rate: float = 0.0


class Taken(msgspec.Struct, frozen=True):
    """`seconds` of each request, from when it was due; `cpu_s` of this process; `failed`: answers
    of a status other than 200."""

    seconds: list[float]
    failed: int
    wall_s: float
    cpu_s: float


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._answer = b""

    def ask(self, request: bytes, due: float) -> None:
        self.due = due
        self.socket.sendall(request)

    def status(self) -> bytes | None:
        """Of the answer that is complete now; None while it is not.

        Raises:
            ConnectionError: the server closed.
        """
        came = self.socket.recv(1 << 18)
        if not came:
            raise ConnectionError("The server closed a connection that was to be kept.")
        self._answer += came
        head = self._answer.find(_END)
        if head < 0:
            return None
        names = self._answer[:head].lower()
        at = names.index(_LENGTH) + len(_LENGTH)
        length = int(names[at : at + 20].split(b"\r", 1)[0])
        if len(self._answer) < head + len(_END) + length:
            return None
        status, self._answer = self._answer[9:12], b""
        return status


def run_load(load: Load) -> Taken:
    """Ask until the time is up; what has been asked by then is still waited for."""
    requests = [request.encode() for request in load.requests]
    connections = {c.socket: c for c in (_Connection(load.port) for _ in range(load.connections))}
    free = deque(connections.values())
    seconds: list[float] = []
    begun = failed = 0
    cpu, started = time.process_time(), time.perf_counter()
    end = started + load.seconds
    while True:
        now = time.perf_counter()
        due = started + begun / load.rate if load.rate else now
        while free and due <= now and due < end:
            free.popleft().ask(requests[begun % len(requests)], due)
            begun += 1
            due = started + begun / load.rate if load.rate else now
        if due >= end and len(free) == len(connections):
            break
        pause_s = max(0.0, due - time.perf_counter()) if free and due < end else 5.0
        for ready in select.select(connections, [], [], pause_s)[0]:
            connection = connections[ready]
            status = connection.status()
            if status is not None:
                seconds.append(time.perf_counter() - connection.due)
                failed += status != b"200"
                free.append(connection)
    wall_s = time.perf_counter() - started
    for connection in connections.values():
        connection.socket.close()
    return Taken(seconds, failed, wall_s, time.process_time() - cpu)


def get_request(path: str) -> str:
    """As a client of few words sends it."""
    return f"GET {path} HTTP/1.1\r\nhost: shop\r\n\r\n"


def post_request(path: str, body: str) -> str:
    """JSON in the body."""
    length = len(body.encode())
    head = f"POST {path} HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {length}\r\n\r\n{body}"


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    sys.stdout.buffer.write(msgspec.json.encode(run_load(asked)))
