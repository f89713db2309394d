"""Many readers on one connection to Redis: what is asked in one turn of the event loop goes out as
one packet, and nobody waits for anybody else's answer to ask.

A client with a pool takes a connection, a task and several awaits for each GET; here it is a write
and a future. For reads alone: after a lost connection a question is asked once more.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import hiredis
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection, parse_url

from endcap.errors import StoreUnavailableError
from endcap.serving import metrics

TIMEOUT_S = 2.0
"""A question that is open for longer, and at most twice as long, ends its connection."""
PAUSE_S = 1.0
"""After a question in vain nobody is made to wait for so long: they are told at once."""
_NOT_YET = ("LOADING", "MASTERDOWN", "CLUSTERDOWN")
Word = str | bytes | int
_Answers = asyncio.Future[list[Any]]
C = TypeVar("C", bound="Connection")
# Its stub knows commands of one word alone.
pack = cast(Callable[[tuple[Word, ...]], bytes], hiredis.pack_command)
"""A command as Redis reads it."""


class SharedReads:
    """Opens its connection when the first question is asked, and again after it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
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
                self._not_before = asyncio.get_running_loop().time() + PAUSE_S
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
        if asyncio.get_running_loop().time() < self._not_before:
            raise ConnectionRefusedError("Redis did not answer a moment ago.")
        if self._opening is None:
            self._opening = asyncio.create_task(connect(self._url, Connection))
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    def _opened(self, opening: "asyncio.Task[Connection]") -> None:
        self._opening = None
        if not opening.cancelled() and opening.exception() is None:
            self._connection = opening.result()


def unavailable(url: str, error: BaseException) -> StoreUnavailableError:
    """The one message for a Redis that does not answer; a password in the URL is not in it."""
    where = url.rsplit("@", 1)[-1]
    return StoreUnavailableError(
        f"No Redis-compatible server answers at {where} ({type(error).__name__}). Start it, or "
        "name another by ENDCAP_REDIS_URL=redis://host:port/0. `endcap demo` "
        "prints the line to export for its own."
    )


class Connection(asyncio.Protocol):
    """Answers come in the order of the questions."""

    def __init__(self) -> None:
        self.is_lost = False
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._asked: deque[tuple[_Answers, int]] = deque()
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
        if self._watch is None:
            self._watch = self._loop.call_later(TIMEOUT_S, self._check, answers)
        self._asked.append((answers, len(commands)))
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
            answers, wanted = self._asked[0]
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
        for answers, _ in self._asked:
            if not answers.done():
                answers.set_exception(self._why or ConnectionResetError("Redis hung up."))
        self._asked.clear()

    def _check(self, watched: _Answers) -> None:
        """One timer for all: it looks at one question, and then at the oldest that is open."""
        self._watch = None
        if not self._asked:
            return
        if watched is self._asked[0][0]:
            self.hang_up(TimeoutError("Redis did not answer in time."))
        else:
            self._watch = self._loop.call_later(TIMEOUT_S, self._check, self._asked[0][0])


async def connect(url: str, make: Callable[[], C]) -> C:
    """By the same forms of URL, and the same options in it, as redis-py understands.

    Raises:
        OSError: nobody answers there, or not in time (`TimeoutError`); the server refuses who asks.
    """
    loop = asyncio.get_running_loop()
    options: dict[str, Any] = dict(parse_url(url))
    kind = options.pop("connection_class", None)
    async with asyncio.timeout(TIMEOUT_S):
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
