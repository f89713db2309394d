"""A connection to Redis on which many ask at once, and nobody waits for anybody else's answer to
ask: a question is a write and a future.

A client with a pool takes a connection, a task and several awaits for each command.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

import hiredis
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection, parse_url

log = logging.getLogger(__name__)
ANSWER_S = 0.5
"""A question that is open for longer ends its connection: a page waits for this answer."""
CONNECT_S = 2.0
"""For several answers, and perhaps TLS; nobody waits for longer than `ANSWER_S` of it."""
_GRACE_S = 0.02
"""An answer that came while this process itself was busy is read before its time is up."""
ALONE = 0
"""In place of how many replies: one, as it is."""
Word = str | bytes | int
C = TypeVar("C", bound="Connection")
# Its stub knows commands of one word alone.
pack = cast(Callable[[tuple[Word, ...]], bytes], hiredis.pack_command)
"""A command as Redis reads it."""
Heard = Callable[[Any], None]
"""Told the answer, or the exception in its place."""


def _settle(answer: asyncio.Future[Any], reply: Any) -> None:
    if answer.done():
        return  # whoever asked has gone
    if isinstance(reply, Exception):
        answer.set_exception(reply)
    else:
        answer.set_result(reply)


def _tell(heard: Heard, reply: Any) -> None:
    try:
        heard(reply)
    except Exception:  # a mistake of one who asked: the others are told all the same
        log.exception("An answer of Redis could not be taken")


class Connection(asyncio.Protocol):
    """Answers come in the order of the questions."""

    def __init__(self) -> None:
        self.is_lost = False
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._asked: deque[tuple[Heard, int, float]] = deque()
        """Whom to tell, of how many replies, until when."""
        self._replies: list[Any] = []
        """To the oldest question, as far as they are there."""
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._why: Exception | None = None

    def ask(self, *command: Word) -> asyncio.Future[Any]:
        """The answer to a command; the future raises `hiredis.ReplyError` where that is refused."""
        return self.send(pack(command))

    def send(self, packed: bytes, replies: int = ALONE) -> asyncio.Future[Any]:
        """The answer to a command as `pack` gives it, or to several as a list in their order."""
        answer = self._loop.create_future()
        self.tell(partial(_settle, answer), packed, replies)
        return answer

    def tell(self, heard: Heard, packed: bytes, replies: int = ALONE) -> None:
        """The same for who wants to be called, as soon as the answer is there."""
        if self.is_lost:
            heard(ConnectionResetError("Redis hung up."))
            return
        due = self._loop.time() + ANSWER_S
        if self._watch is None:
            self._watch = self._loop.call_at(due, self._check)
        self._asked.append((heard, replies, due))
        if self._transport is not None:
            # uvloop sends what a turn of its loop wrote as one packet.
            self._transport.write(packed)

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
            reply = self._reader.gets()
            if reply is False:
                return
            heard, wanted, _ = self._asked[0]
            if wanted != ALONE:
                self._replies.append(reply)
                if len(self._replies) < wanted:
                    continue
                reply, self._replies = self._replies, []
                errors = (each for each in reply if isinstance(each, hiredis.ReplyError))
                reply = next(errors, reply)
            self._asked.popleft()
            _tell(heard, reply)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        if self._watch is not None:
            self._watch.cancel()
        asked, self._asked = self._asked, deque()
        for heard, _, _ in asked:
            _tell(heard, self._why or ConnectionResetError("Redis hung up."))

    def _check(self) -> None:
        """One timer for all: it looks at the oldest question that is open."""
        self._watch = None
        if not self._asked:
            return
        oldest = self._asked[0]
        _, _, due = oldest
        if due > self._loop.time():
            self._watch = self._loop.call_at(due, self._check)
        else:
            self._watch = self._loop.call_later(_GRACE_S, self._give_up, oldest)

    def _give_up(self, overdue: tuple[Heard, int, float]) -> None:
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
                await connection.ask(*command)
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
