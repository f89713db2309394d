"""Child processes that answer before they count as started, and never outlive this process."""

import contextlib
import functools
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Self

from endcap.errors import EndcapError

_LAUNCHER = Path(__file__).with_name("launcher.py")
_TAIL_LINES = 20
_POLL_S = 0.05

_Spawn = tuple[Callable[[], "subprocess.Popen[bytes]"], "Future[subprocess.Popen[bytes]]"]


class LocalStackError(EndcapError):
    """A part of the local stack could not be fetched, started or reached."""


class PortTakenError(LocalStackError):
    """Another process took the port between its choice and the server's bind: try another."""


class Child:
    """A server process in a session of its own, writing all it says to one log file.

    The session keeps the terminal's Ctrl-C away from it: this process hears it first and stops
    the server in order. If this process is killed outright, the server dies with it (`launcher`).
    `nice`: 0 to 19, how far it stands back where processors are short.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_file: Path,
        environment: Mapping[str, str] | None = None,
        nice: int = 0,
    ) -> None:
        self.name = name
        self.log_file = log_file
        arguments = [
            *(sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(nice)),
            *command,
        ]

        def start() -> "subprocess.Popen[bytes]":
            with log_file.open("ab") as log:
                return subprocess.Popen(
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=log_file.parent,
                    env=environment,
                    start_new_session=True,
                )

        self._process = _spawned_by_lasting_thread(start)

    @property
    def pid(self) -> int:
        """Process id of the server (on macOS that of its watcher)."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """False once it has ended, by itself or by `stop`."""
        return self._process.poll() is None

    def wait_until(self, answers: Callable[[], bool], timeout_s: float) -> None:
        """Return once `answers()` is true.

        Raises `LocalStackError` with the end of the log if the process ends first or the time is
        up; `PortTakenError` if it ended because its port was in use.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            if self._process.poll() is not None:
                raise self._ended_too_early()
            if answers():
                return
            if time.monotonic() > deadline:
                message = f"{self.name} did not answer within {timeout_s:g} s"
                raise LocalStackError(self._with_log(message))
            # The pause between two questions ends at once if the process does.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_POLL_S)

    def once(self, answers: Callable[[], bool], timeout_s: float) -> Self:
        """Itself, when `wait_until` is through; stopped where that raises."""
        try:
            self.wait_until(answers, timeout_s)
        except BaseException:
            self.stop()
            raise
        return self

    def check(self) -> None:
        """Raise `LocalStackError` with the end of the log if it has ended by itself."""
        if not self.is_running:
            raise self._ended_too_early()

    def wait_for_success(self, timeout_s: float) -> None:
        """Return once the process has ended with status 0; raise `LocalStackError` otherwise."""
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            message = f"{self.name} had not finished after {timeout_s:g} s"
            raise LocalStackError(self._with_log(message)) from None
        if status != 0:
            raise self._ended_too_early()

    def ask_to_stop(self) -> None:
        """Send SIGTERM and return at once, so that several children can stop side by side."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, and wait until it has ended."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: it stands still, with its connections open, until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def stop(self, timeout_s: float = 5.0) -> None:
        """SIGTERM, and SIGKILL for what is still there after `timeout_s`. Idempotent."""
        self.ask_to_stop()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        # Once it has been waited for, the id may belong to somebody else: poll() comes first.
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _ended_too_early(self) -> LocalStackError:
        message = self._with_log(f"{self.name} ended with status {self._process.returncode}")
        taken = "address already in use" in self.log_file.read_text(errors="replace").lower()
        return PortTakenError(message) if taken else LocalStackError(message)

    def _with_log(self, what_happened: str) -> str:
        lines = self.log_file.read_text(errors="replace").splitlines()
        # Behind Kafka's stack frames and its shutdown at INFO the cause would be out of sight.
        noise = (" INFO ", "\tat ")
        telling = [line for line in lines if not any(part in line for part in noise)] or lines
        tail = "\n".join(f"  {line}" for line in telling[-_TAIL_LINES:]) or "  (empty)"
        return f"{what_happened}. The end of its log, {self.log_file}:\n{tail}"


def _spawned_by_lasting_thread(
    start: "Callable[[], subprocess.Popen[bytes]]",
) -> "subprocess.Popen[bytes]":
    """Fork from a thread that lives as long as this process.

    Linux sends the parent-death signal when the *thread* that forked ends (prctl(2)): a stack
    started from a worker thread would be killed the moment that worker returns.
    """
    future: Future[subprocess.Popen[bytes]] = Future()
    _lasting_thread(os.getpid()).put((start, future))
    return future.result()


@functools.cache
def _lasting_thread(_pid: int) -> "queue.SimpleQueue[_Spawn]":
    """The queue of this process's thread; by process id, for threads do not survive a fork."""
    requests: queue.SimpleQueue[_Spawn] = queue.SimpleQueue()

    def serve() -> None:
        while True:
            start, future = requests.get()
            try:
                future.set_result(start())
            except Exception as error:  # it belongs to the caller, who waits on the future
                future.set_exception(error)

    threading.Thread(target=serve, name="endcap-local-stack", daemon=True).start()
    return requests
