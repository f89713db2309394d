"""`endcap stream --rescore`: the fold and the rescorer as two processes of one command.

In one interpreter they took turns: where one worked the other stood (docs/decisions/0021).
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from functools import partial
from typing import NamedTuple
from uuid import uuid4

from prometheus_client import REGISTRY

from endcap.deploy.fast_lane import FoldEnd, RescorerEnd
from endcap.deploy.heartbeat import Heartbeat
from endcap.deploy.metrics_beside import Beside, tell_of
from endcap.deploy.processes import serve_metrics, session_worker, settle_garbage_collection
from endcap.deploy.rescorer_process import at_leisure, opened_rescorer
from endcap.deploy.settings import Settings
from endcap.deploy.stopping import run_on_the_fastest_loop, run_together, stop_on_signal
from endcap.errors import EndcapError
from endcap.serving.waiting_room import WaitingRoom
from endcap.streams.session_worker import FastLane

_SWITCH_S = 0.001
"""Otherwise the rescoring thread keeps the interpreter for 5 ms, while a list is to be written."""
_COMMAND = [sys.executable, "-m", "endcap.deploy.cli", "stream"]
_ENDS_WITHIN_S = 20.0
"""Longer than a worker takes to give its partitions back."""


class FoldEndedError(EndcapError):
    """The process that folds has ended, and nobody has asked it to."""


class Ends(NamedTuple):
    """What the process that folds is given: two sockets by number, and its name in its groups."""

    lane: int
    metrics: int
    name: str


def run_stream_and_rescore(settings: Settings) -> None:
    """Session worker and rescorer: the fold hands its sessions straight over.

    Raises:
        FoldEndedError: the fold has ended by itself.
    """
    name = f"endcap-{uuid4().hex[:8]}"
    lane, lane_of_fold = socket.socketpair()
    metrics, metrics_of_fold = socket.socketpair()
    with lane_of_fold, metrics_of_fold:
        # A fresh interpreter: a fork of this one would inherit threads that do not run in it.
        ends = Ends(lane_of_fold.fileno(), metrics_of_fold.fileno(), name)
        process = subprocess.Popen(
            [*_COMMAND, f"--from={settings.start_from}", f"--fold-for={','.join(map(str, ends))}"],
            pass_fds=[ends.lane, ends.metrics],
        )
    room = WaitingRoom()
    end = RescorerEnd(lane, room.hand_over)
    room.catch_up = end.take_in
    fold = FoldBeside(process, end)

    async def main() -> None:
        serve_metrics(settings, Beside(metrics))
        settle_garbage_collection()
        sys.setswitchinterval(_SWITCH_S)
        try:
            async with opened_rescorer(settings, room, at_leisure(settings, name)) as parts:
                end.go()
                await run_together([fold, *parts])
        finally:
            await fold.end()

    run_on_the_fastest_loop(main)


def run_fold_for(settings: Settings, given: str) -> None:
    """The other process: a session worker that hands its sessions over."""
    lane, metrics, name = given.split(",")
    heart = Heartbeat()
    tell_of(socket.socket(fileno=int(metrics)), heart, REGISTRY)
    end = socket.socket(fileno=int(lane))
    if not FoldEnd.waits_for_go(end):
        return  # the rescorer could not begin, and has said why

    async def main() -> None:
        heart.beat_on(asyncio.get_running_loop())
        settle_garbage_collection()
        fold = FoldEnd(end)
        worker = session_worker(settings, FastLane(fold.hand_over, fold.is_out), name)
        # Alone it ends as if it had been killed as well: the next owner aborts what it had begun.
        fold.listen(worker.stop, partial(os._exit, 1))
        stop_on_signal(worker.stop)
        await worker.run()

    run_on_the_fastest_loop(main)


class FoldBeside:
    """The process that folds, as a part of the one that makes lists."""

    def __init__(self, process: "subprocess.Popen[bytes]", end: RescorerEnd) -> None:
        self._process = process
        self._end = end
        self._is_to_end = False

    def stop(self) -> None:
        """Let it finish its batches, and end; where it does not, it is killed."""
        self._is_to_end = True
        self._end.stop()
        asyncio.get_running_loop().call_later(_ENDS_WITHIN_S, self._process.kill)

    async def run(self) -> None:
        """Returns when it has ended, as it was asked to.

        Raises:
            FoldEndedError: it has ended by itself.
        """
        await self._end.until_it_ends()
        status = await self._status()
        if status:
            raise FoldEndedError(
                f"The process that folds events has ended with status {status}; what it said "
                "stands above. Nothing is lost: start the command anew."
            )
        if not self._is_to_end:
            # A terminal's Ctrl-C and systemd's stop go to both; it was the first to hear of it.
            os.kill(os.getpid(), signal.SIGTERM)

    async def end(self) -> None:
        """It is over when this returns, whatever it does."""
        self._end.close()
        await self._status()

    async def _status(self) -> int:
        """Its exit status; killed where it does not end."""
        try:
            return await asyncio.to_thread(self._process.wait, _ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return await asyncio.to_thread(self._process.wait)
