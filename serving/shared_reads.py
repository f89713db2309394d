"""Many readers on one connection to Redis: what is asked in one turn of the event loop goes out as
one packet. For reads alone: after a lost connection a question is asked once more.
"""

import asyncio
import ssl
import time
from collections.abc import Coroutine, Sequence
from typing import Any

import hiredis

from endcap.errors import StoreRefusedError, StoreUnavailableError
from endcap.serving import metrics
from endcap.serving.redis_connection import (
    ALONE,
    ANSWER_S,
    Connection,
    Heard,
    Word,
    connect,
    pack,
)

PAUSE_S = 1.0
"""Between two attempts to connect to a server that stood still."""
_WRONG_PASSWORD = ("WRONGPASS", "invalid username-password", "NOAUTH", "Authentication required")
_NOT_YET = ("LOADING", "MASTERDOWN", "CLUSTERDOWN")


class SharedReads:
    """Opens its connection when the first question is asked, and again after it was lost.

    After a question in vain the next ones are told so at once, until a connection that is opened
    beside them answers.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        self._stands_still = False
        self._not_before = 0.0

    def ask(self, *command: Word) -> Coroutine[Any, Any, Any]:
        """The answer to a command that changes nothing.

        Raises:
            StoreUnavailableError: no connection, or no answer in time.
            hiredis.ReplyError: the server refused the command.
        """
        return self._ask(pack(command), ALONE)

    def tell(self, heard: Heard, *command: Word) -> bool:
        """Call `heard` with the answer or an exception; nothing is asked twice. False: there is no
        connection now, and `heard` is not called."""
        connection = self._connection
        if connection is None or connection.is_lost:
            return False
        started = time.perf_counter()

        def told(reply: Any) -> None:
            metrics.READ_SECONDS.observe(time.perf_counter() - started)
            if isinstance(reply, TimeoutError):
                self._stands_still = True  # who asks next is told so at once
            heard(reply)

        connection.tell(told, pack(command))
        return True

    async def ask_all(self, commands: Sequence[tuple[Word, ...]]) -> list[Any]:
        """The answers to several, which go out together; see `ask`."""
        if not commands:
            return []
        answers: list[Any] = await self._ask(b"".join(map(pack, commands)), len(commands))
        return answers

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.hang_up()
            self._connection = None

    async def _ask(self, packed: bytes, replies: int) -> Any:
        started = time.perf_counter()
        try:
            connection = self._connection
            if connection is not None and not connection.is_lost:
                try:
                    return await connection.send(packed, replies)
                except ConnectionError:
                    pass  # the server went away between two questions: it may be back already
            return await (await self._open()).send(packed, replies)
        except (OSError, TimeoutError) as error:
            metrics.REDIS_FAILURES.labels("away").inc()
            if isinstance(error, TimeoutError):
                self._stands_still = True
            raise unavailable(self._url, error) from error
        except hiredis.ReplyError as error:
            if str(error).startswith(_NOT_YET):
                raise unavailable(self._url, error) from error
            raise
        finally:
            metrics.READ_SECONDS.observe(time.perf_counter() - started)

    async def _open(self) -> "Connection":
        """One attempt for all who wait."""
        if self._connection is not None and not self._connection.is_lost:
            return self._connection
        loop = asyncio.get_running_loop()
        if self._opening is None and loop.time() >= self._not_before:
            self._opening = asyncio.create_task(connect(self._url, Connection))
            self._opening.add_done_callback(self._opened)
        if self._stands_still or self._opening is None:
            raise ConnectionRefusedError("Redis did not answer a moment ago.")
        async with asyncio.timeout(ANSWER_S):
            return await asyncio.shield(self._opening)

    def _opened(self, opening: "asyncio.Task[Connection]") -> None:
        self._opening = None
        if opening.cancelled():
            return
        error = opening.exception()
        if error is None:
            self._connection = opening.result()
        elif isinstance(error, TimeoutError):
            self._not_before = asyncio.get_running_loop().time() + PAUSE_S
        # A server that refuses does so at once: who asks next may wait for that.
        self._stands_still = isinstance(error, TimeoutError)


def unavailable(url: str, error: BaseException) -> StoreUnavailableError:
    """The one message for a Redis that does not answer; a password in the URL is not in it."""
    where = url.rsplit("@", 1)[-1].partition("?")[0]  # redis-py takes ?password= as well
    if said := refusal(error):
        return StoreRefusedError(f"The Redis at {where} {said}")
    return StoreUnavailableError(
        f"No Redis-compatible server answers at {where} ({type(error).__name__}). Start it, or "
        "name another by ENDCAP_REDIS_URL=redis://host:port/0. `endcap demo` "
        "prints the line to export for its own."
    )


def refusal(error: BaseException) -> str | None:
    """What a server that answers has against this client; None: it does not answer.

    redis-py hides what TLS found behind errors of its own, as their cause.
    """
    said, cause = str(error), error
    while not isinstance(cause, ssl.SSLCertVerificationError):
        earlier = cause.__cause__ or cause.__context__
        if earlier is None:
            break
        cause = earlier
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"shows a certificate that is not to be trusted: {cause.verify_message}. Name the "
            "authority that signed it behind the URL, ?ssl_ca_certs=FILE; if you did, somebody "
            "else answers there."
        )
    if said.startswith(("NOPERM", "No permissions")) or "has no permissions" in said:
        return (
            f"does not let this user do that ({said}). docs/redis.md has the users and their "
            "rights: processes need endcap-writer."
        )
    if any(word in said for word in _WRONG_PASSWORD):
        return (
            f"refuses the user or the password ({said}). They stand in ENDCAP_REDIS_URL: "
            "rediss://USER:PASSWORD@host:port/0."
        )
    return None
