"""Many readers on one connection to Redis: what is asked in one turn of the event loop goes out as
one packet, and nobody waits for anybody else's answer to ask.

A client with a pool takes a connection, a task and several awaits for each GET; here it is a write
and a future. For reads alone: after a lost connection a question is asked once more.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import hiredis
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection, parse_url

from endcap.errors import StoreRefusedError, StoreUnavailableError
from endcap.serving import metrics

ANSWER_S = 0.5
"""A question that is open for longer ends its connection: a page waits for this answer."""
CONNECT_S = 2.0
"""For several answers, and perhaps TLS; nobody waits for longer than `ANSWER_S` of it."""
PAUSE_S = 1.0
"""Between two attempts to connect to a server that stood still."""
_GRACE_S = 0.02
"""An answer that came while this process itself was busy is read before its time is up."""
_WRONG_PASSWORD = ("WRONGPASS", "invalid username-password", "NOAUTH", "Authentication required")
_NOT_YET = ("LOADING", "MASTERDOWN", "CLUSTERDOWN")
Word = str | bytes | int
_Answers = asyncio.Future[list[Any]]


class _Question(NamedTuple):
    answers: _Answers
    commands: int
    due: float


C = TypeVar("C", bound="Connection")
# Its stub knows commands of one word alone.
pack = cast(Callable[[tuple[Word, ...]], bytes], hiredis.pack_command)
"""A command as Redis reads it."""


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

    async def ask(self, *command: Word) -> Any:
        """The answer to a command that changes nothing.

        Raises:
            StoreUnavailableError: no connection, or no answer in time.
            hiredis.ReplyError: the server refused the command.
        """
        return (await self.ask_all((command,)))[0]

    async def ask_all(self, commands: Sequence[tuple[Word, ...]]) -> list[Any]:
        """The answers to several, which go out together; see `ask`."""
        started = time.perf_counter()
        try:
            connection = self._connection
            if connection is not None and not connection.is_lost:
                try:
                    return await connection.ask(commands)
                except ConnectionError:
                    pass  # the server went away between two questions: it may be back already
            return await (await self._open()).ask(commands)
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

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.hang_up()
            self._connection = None

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


class Connection(asyncio.Protocol):
    """Answers come in the order of the questions."""

    def __init__(self) -> None:
        self.is_lost = False
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._asked: deque[_Question] = deque()
        self._replies: list[Any] = []
        """To the oldest question, as far as they are there."""
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._why: Exception | None = None

    def ask(self, commands: Sequence[tuple[Word, ...]]) -> _Answers:
        """Their answers, in their order."""
        answers: _Answers = self._loop.create_future()
        if self.is_lost:
            answers.set_exception(ConnectionResetError("Redis hung up."))
            return answers
        due = self._loop.time() + ANSWER_S
        if self._watch is None:
            self._watch = self._loop.call_at(due, self._check)
        self._asked.append(_Question(answers, len(commands), due))
        if self._transport is not None:
            for command in commands:  # uvloop sends what a turn of its loop wrote as one packet
                self._transport.write(pack(command))
        return answers

    def hang_up(self, why: Exception | None = None) -> None:
        """Whoever still waits is told."""
        self._why = why
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while self._asked:
            answers, wanted, _ = self._asked[0]
            while len(self._replies) < wanted:
                reply = self._reader.gets()
                if reply is False:
                    return
                self._replies.append(reply)
            self._asked.popleft()
            replies, self._replies = self._replies, []
            if answers.done():
                continue  # whoever asked has gone
            for reply in replies:
                if isinstance(reply, hiredis.ReplyError):
                    answers.set_exception(reply)
                    break
            else:
                answers.set_result(replies)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        if self._watch is not None:
            self._watch.cancel()
        for answers, _, _ in self._asked:
            if not answers.done():
                answers.set_exception(self._why or ConnectionResetError("Redis hung up."))
        self._asked.clear()

    def _check(self) -> None:
        """One timer for all: it looks at the oldest question that is open."""
        self._watch = None
        if not self._asked:
            return
        oldest = self._asked[0]
        if oldest.due > self._loop.time():
            self._watch = self._loop.call_at(oldest.due, self._check)
        else:
            self._watch = self._loop.call_later(_GRACE_S, self._give_up, oldest)

    def _give_up(self, overdue: _Question) -> None:
        self._watch = None
        if self._asked and self._asked[0] is overdue:
            self.hang_up(TimeoutError("Redis did not answer in time."))
        else:
            self._check()


async def connect(url: str, make: Callable[[], C]) -> C:
    """By the same forms of URL, and the same options in it, as redis-py understands.

    Raises:
        OSError: nobody answers there, or not in time (`TimeoutError`); the server refuses who asks.
    """
    loop = asyncio.get_running_loop()
    options: dict[str, Any] = dict(parse_url(url))
    kind = options.pop("connection_class", None)
    async with asyncio.timeout(CONNECT_S):
        connection: C
        if kind is UnixDomainSocketConnection:
            _, connection = await loop.create_unix_connection(make, options["path"])
        else:
            host, port = options.get("host", "localhost"), options.get("port", 6379)
            secured = None
            if kind is SSLConnection:
                secured = SSLConnection(**options).ssl_context.get()
            _, connection = await loop.create_connection(make, host, port, ssl=secured)
        for command in _greeting(options):
            try:
                await connection.ask((command,))
            except hiredis.ReplyError as error:
                connection.hang_up()
                raise ConnectionError(str(error)) from error
    return connection


def _greeting(options: dict[str, Any]) -> list[tuple[Word, ...]]:
    said: list[tuple[Word, ...]] = []
    if options.get("password"):
        names = [options["username"]] if options.get("username") else []
        said.append(("AUTH", *names, options["password"]))
    if options.get("db"):
        said.append(("SELECT", options["db"]))
    return said
