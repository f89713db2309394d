"""Becomes a server that cannot outlive the process which asked for it.

Run as a file, `python -I -S launcher.py PARENT_PID NICE COMMAND...`, never imported by the package:
it uses the standard library alone so that it costs some 30 ms and not the import of endcap.

It exists because `preexec_fn` is unsafe in a program with threads, and a parent killed by SIGKILL
runs no `finally`. On Linux the kernel is told to kill the server when the parent dies, and then
this process *becomes* the server. Elsewhere there is no such call, so it stays as the server's
parent and looks, twice a second, whether its own parent is still there.
"""

import ctypes
import os
import platform
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> int:
    """Start the command given on the command line under the care described above."""
    parent_pid, nice, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if nice:
        _stand_back(nice)
    start = _become if platform.system() == "Linux" else _watch
    return start(command, parent_pid)


def _stand_back(nice: int) -> None:
    """A session of its own is a scheduling group of its own on Linux, within which alone niceness
    counts: the group is told as well (sched(7), "The autogroup feature")."""
    os.nice(nice)
    try:
        with open("/proc/self/autogroup", "w") as group:
            group.write(str(nice))
    except OSError:
        return  # not Linux, or no such groups: its niceness counts among all


def _become(command: list[str], parent_pid: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        print(f"prctl(PR_SET_PDEATHSIG) failed with errno {ctypes.get_errno()}", file=sys.stderr)
        return 70
    if os.getppid() != parent_pid:  # it died before the kernel was told to watch it
        return 70
    os.execv(command[0], command)  # noqa: S606 - a list of arguments, no shell


def _watch(command: list[str], parent_pid: int) -> int:
    server = subprocess.Popen(command)
    # A stop is sent to the whole process group: let the server decide when both are finished.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        try:
            return server.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent_pid:
                server.kill()


if __name__ == "__main__":
    sys.exit(main())
