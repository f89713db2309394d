"""`endcap stream --rescore`: the fold and the rescorer as two processes of one command.

In one interpreter they took turns: where one worked the other stood (docs/decisions/0021).
"""

import asyncio
import os
import signal
import socket
import sys
from functools import partial
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
_ENDS_WITHIN_S = 20.0
"""Longer than a worker takes to give its partitions back."""


class FoldEndedError(EndcapError):
    """The process that folds has ended, and nobody has asked it to."""


def run_stream_and_rescore(settings: Settings) -> None:
    """Session worker and rescorer: the fold hands its sessions straight over.

    Returns in both processes; raises in each what it failed of.
    """
    name = f"endcap-{uuid4().hex[:8]}"
    lane, lane_of_fold = socket.socketpair()
    metrics, metrics_of_fold = socket.socketpair()
    settle_garbage_collection()  # what is there already stays shared
    pid = os.fork()
    if pid == 0:
        lane.close()
        metrics.close()
        _fold(settings, name, lane_of_fold, metrics_of_fold)
    else:
        lane_of_fold.close()
        metrics_of_fold.close()
        _rescore(settings, name, FoldBeside(pid, lane), Beside(metrics))


def _fold(settings: Settings, name: str, lane: socket.socket, metrics: socket.socket) -> None:
    heart = Heartbeat()
    tell_of(metrics, heart, REGISTRY)
    if not FoldEnd.waits_for_go(lane):
        os._exit(0)  # the rescorer could not begin, and has said why

    async def main() -> None:
        heart.beat_on(asyncio.get_running_loop())
        end = FoldEnd(lane)
        worker = session_worker(settings, FastLane(end.hand_over, end.is_out), name)
        # As if this process had been killed as well: a transaction that is open is aborted by the
        # next owner.
        end.listen(worker.stop, partial(os._exit, 1))
        stop_on_signal(worker.stop)
        await worker.run()

    run_on_the_fastest_loop(main)


def _rescore(settings: Settings, name: str, fold: "FoldBeside", metrics: Beside) -> None:
    async def main() -> None:
        serve_metrics(settings, metrics)
        sys.setswitchinterval(_SWITCH_S)
        room = WaitingRoom()
        try:
            async with opened_rescorer(settings, room, at_leisure(settings, name)) as parts:
                fold.begin(room)
                await run_together([fold, *parts])
        finally:
            await fold.end()

    run_on_the_fastest_loop(main)


class FoldBeside:
    """The process that folds, as a part of the one that makes lists."""

    def __init__(self, pid: int, lane: socket.socket) -> None:
        self._pid = pid
        self._lane = lane
        self._end: RescorerEnd | None = None
        self._is_to_end = False

    def begin(self, room: WaitingRoom) -> None:
        """Let it fold, into this room."""
        self._end = room.catches_up = RescorerEnd(self._lane, room.hand_over)
        self._end.go()

    def stop(self) -> None:
        """Let it finish its batches, and end."""
        self._is_to_end = True
        if self._end is not None:
            self._end.stop()

    async def run(self) -> None:
        """Returns when it has ended, as it was asked to.

        Raises:
            FoldEndedError: it has ended by itself.
        """
        if self._end is not None:
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
        if self._end is not None:
            self._end.close()
        self._lane.close()
        if self._pid:
            await self._status()

    async def _status(self) -> int:
        """Its exit status, as a shell would say it; killed where it does not end."""
        pid, self._pid = self._pid, 0
        if not pid:
            return 0
        waiting = asyncio.create_task(asyncio.to_thread(os.waitpid, pid, 0))
        done, _ = await asyncio.wait([waiting], timeout=_ENDS_WITHIN_S)
        if not done:
            os.kill(pid, signal.SIGKILL)
        _, status = await waiting
        return os.waitstatus_to_exitcode(status)
