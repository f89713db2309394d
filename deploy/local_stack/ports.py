"""TCP ports on the loopback interface, and one question: does anything listen there?"""

import socket
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> tuple[int, ...]:
    """Give `count` different ports that nothing was bound to a moment ago.

    The kernel picks them (bind to port 0), and all are held until the last one is known, so none
    comes twice. Another process can still take one before the server binds it: the caller has to
    be ready to try again (`PortTakenError`).
    """
    with ExitStack() as held:
        ports = []
        for _ in range(count):
            listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            listener.bind((LOOPBACK, 0))
            ports.append(int(listener.getsockname()[1]))
        return tuple(ports)


def is_open(port: int, timeout_s: float = 0.5) -> bool:
    """True if something accepts a connection on this port of the loopback interface."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s):
            return True
    except OSError:
        return False
