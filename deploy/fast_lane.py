"""Sessions from the process that folds to the one that makes lists, over a pair of sockets.

A record is in the kernel's hands before its transaction commits (`FoldEnd.is_out`), and is taken in
before anything that was read from the topic later (`RescorerEnd.take_in`): by this lane nobody
hears of a session after its end (docs/decisions/0021).
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from endcap.deploy.frames import Frames, framed
from endcap.traces import CURRENT

_GO, _STOP = b"g", b"s"
_AT_ONCE = 1 << 20


class _Handed(NamedTuple):
    snapshots: dict[str, bytes | None]
    traces: dict[str, str]
    """What `Traces.hand_over` gave."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Handed).decode


class FoldEnd:
    """The end of the process that folds."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._unsent = bytearray()
        self._is_out = asyncio.Event()
        self._is_out.set()

    @staticmethod
    def waits_for_go(end: socket.socket) -> bool:
        """Returns when the other process is ready; False where it has ended before."""
        return end.recv(1) == _GO

    def listen(self, stop: Callable[[], None], alone: Callable[[], None]) -> None:
        """In the running loop. `stop`: the other process wishes an end; `alone`: it is gone."""
        self._end.setblocking(False)
        loop = asyncio.get_running_loop()

        def hear() -> None:
            try:
                said = self._end.recv(1)
            except BlockingIOError:
                return
            except OSError:
                said = b""
            if said == _STOP:
                stop()
            elif not said:
                loop.remove_reader(self._end)
                alone()

        loop.add_reader(self._end, hear)

    def hand_over(self, snapshots: Mapping[str, bytes | None]) -> None:
        """See `FastLane`."""
        if not snapshots:
            return
        traces = CURRENT.traces.hand_over(snapshots) if CURRENT.traces else {}
        waits = bool(self._unsent)
        self._unsent += framed(_encode(_Handed(dict(snapshots), traces)))
        if not waits:
            self._send()
            if self._unsent:
                self._is_out.clear()
                asyncio.get_running_loop().add_writer(self._end, self._go_on)

    async def is_out(self) -> None:
        """Returns when all that was handed over lies where the other process can take it in."""
        await self._is_out.wait()

    def _go_on(self) -> None:
        self._send()
        if not self._unsent:
            asyncio.get_running_loop().remove_writer(self._end)
            self._is_out.set()

    def _send(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._end.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()  # nobody is there: `alone` is told of it


class RescorerEnd:
    """The end of the process that makes lists."""

    def __init__(
        self, end: socket.socket, take: Callable[[Mapping[str, bytes | None]], None]
    ) -> None:
        """`take` gets what was handed over, in its order."""
        self._end = end
        self._take = take
        self._frames = Frames()
        self._ended = asyncio.Event()

    def go(self) -> None:
        """Let the other process begin; in the running loop."""
        self._end.setblocking(False)
        asyncio.get_running_loop().add_reader(self._end, self.take_in)
        self._say(_GO)

    def stop(self) -> None:
        """Ask the other process to end."""
        self._say(_STOP)

    async def until_it_ends(self) -> None:
        """Returns when the other process has closed its end."""
        await self._ended.wait()

    def close(self) -> None:
        """The other process is alone from now on."""
        if self._end.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._end)
            self._end.close()

    def take_in(self) -> None:
        """All that has been handed over until now."""
        while not self._ended.is_set():
            try:
                arrived = self._end.recv(_AT_ONCE)
            except BlockingIOError:
                break
            except OSError:
                arrived = b""
            if not arrived:
                asyncio.get_running_loop().remove_reader(self._end)
                self._ended.set()
            for message in self._frames.of(arrived):
                handed = _decode(message)
                if CURRENT.traces is not None:
                    CURRENT.traces.handed_over(handed.traces)
                self._take(handed.snapshots)

    def _say(self, word: bytes) -> None:
        try:
            self._end.send(word)
        except OSError:
            self._ended.set()
