"""Many readers on one connection to Redis: what is asked in one turn of the event loop goes out as
one packet, and nobody waits for anybody else's answer to ask.

A client with a pool takes a connection, a task and several awaits for each GET; here it is a write
and a future. For reads alone: after a lost connection a question is asked once more.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import hiredis
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection, parse_url

from endcap.errors import StoreUnavailableError

TIMEOUT_S = 2.0
"""A question that is open for longer, and at most twice as long, ends its connection."""
_NOT_YET = ("LOADING", "MASTERDOWN", "CLUSTERDOWN")
_Word = str | bytes | int
_Future = asyncio.Future[Any]
_T = TypeVar("_T")


class SharedReads:
    """Opens its connection when the first question is asked, and again after it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: _Connection | None = None
        self._opening: asyncio.Task[_Connection] | None = None

    async def ask(self, *command: _Word) -> Any:
        """The answer to a command that changes nothing.

        Raises:
            StoreUnavailableError: no connection, or no answer in time.
            hiredis.ReplyError: the server refused the command.
        """
        return await self._twice(lambda connection: connection.ask(command))

    async def ask_all(self, commands: Sequence[tuple[_Word, ...]]) -> list[Any]:
        """The answers to several, which go out together; see `ask`."""
        return await self._twice(lambda connection: asyncio.gather(*map(connection.ask, commands)))

    async def _twice(self, ask: Callable[["_Connection"], Awaitable[_T]]) -> _T:
        try:
            connection = self._connection
            if connection is not None and not connection.is_lost:
                try:
                    return await ask(connection)
                except ConnectionError:
                    pass  # the server went away between two questions: it may be back already
            return await ask(await self._open())
        except (OSError, TimeoutError) as error:
            raise unavailable(self._url, error) from error
        except hiredis.ReplyError as error:
            if str(error).startswith(_NOT_YET):
                raise unavailable(self._url, error) from error
            raise

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.hang_up()
            self._connection = None

    async def _open(self) -> "_Connection":
        """One attempt for all who wait."""
        if self._connection is not None and not self._connection.is_lost:
            return self._connection
        if self._opening is None:
            self._opening = asyncio.create_task(_connect(self._url))
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    def _opened(self, opening: "asyncio.Task[_Connection]") -> None:
        self._opening = None
        if not opening.cancelled() and opening.exception() is None:
            self._connection = opening.result()


def unavailable(url: str, error: BaseException) -> StoreUnavailableError:
    """The one message for a Redis that does not answer; a password in the URL is not in it."""
    where = url.rsplit("@", 1)[-1]
    return StoreUnavailableError(
        f"No Redis-compatible server answers at {where} ({type(error).__name__}). Start it, or "
        "name another by ENDCAP_REDIS_URL=redis://host:port/0; `endcap demo` brings its own."
    )


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.is_lost = False
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._asked: deque[_Future] = deque()
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._why: Exception | None = None

    def ask(self, command: tuple[_Word, ...]) -> _Future:
        """Its answer, in the order of asking."""
        answer: _Future = self._loop.create_future()
        if self.is_lost:
            answer.set_exception(ConnectionResetError("Redis hung up."))
            return answer
        if not self._unsent:
            self._loop.call_soon(self._send)
        if self._watch is None:
            self._watch = self._loop.call_later(TIMEOUT_S, self._check, answer)
        self._unsent.append(hiredis.pack_command(command))
        self._asked.append(answer)
        return answer

    def hang_up(self, why: Exception | None = None) -> None:
        """Whoever still waits is told."""
        self._why = why
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while self._asked:
            reply = self._reader.gets()
            if reply is False:
                return
            answer = self._asked.popleft()
            if answer.done():
                continue  # whoever asked has gone
            if isinstance(reply, hiredis.ReplyError):
                answer.set_exception(reply)
            else:
                answer.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        if self._watch is not None:
            self._watch.cancel()
        for answer in self._asked:
            if not answer.done():
                answer.set_exception(self._why or ConnectionResetError("Redis hung up."))
        self._asked.clear()

    def _send(self) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def _check(self, watched: _Future) -> None:
        """One timer for all: it looks at one question, and then at the oldest that is open."""
        self._watch = None
        if not self._asked:
            return
        if watched is self._asked[0]:
            self.hang_up(TimeoutError("Redis did not answer in time."))
        else:
            self._watch = self._loop.call_later(TIMEOUT_S, self._check, self._asked[0])


async def _connect(url: str) -> _Connection:
    """By the same forms of URL, and the same options in it, as redis-py understands."""
    loop = asyncio.get_running_loop()
    options: dict[str, Any] = dict(parse_url(url))
    kind = options.pop("connection_class", None)
    async with asyncio.timeout(TIMEOUT_S):
        connection: _Connection
        if kind is UnixDomainSocketConnection:
            _, connection = await loop.create_unix_connection(_Connection, options["path"])
        else:
            host, port = options.get("host", "localhost"), options.get("port", 6379)
            secured = None
            if kind is SSLConnection:
                secured = SSLConnection(**options).ssl_context.get()
            _, connection = await loop.create_connection(_Connection, host, port, ssl=secured)
        for command in _greeting(options):
            try:
                await connection.ask(command)
            except hiredis.ReplyError as error:
                connection.hang_up()
                raise ConnectionError(str(error)) from error
    return connection


def _greeting(options: dict[str, Any]) -> list[tuple[_Word, ...]]:
    said: list[tuple[_Word, ...]] = []
    if options.get("password"):
        names = [options["username"]] if options.get("username") else []
        said.append(("AUTH", *names, options["password"]))
    if options.get("db"):
        said.append(("SELECT", options["db"]))
    return said
