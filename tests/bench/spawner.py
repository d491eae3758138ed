"""Starts the peers' commands, so many at a time, and takes the time of each.

The cheapest way there is from Python: vfork and exec in C, one wait for whichever child ends next,
no thread and no pipe. So what is measured is the peer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from tests.bench.contenders import ENVIRONMENT
from tests.bench.samples import Batch

_QUIET = (
    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
)


def run(commands: Sequence[list[str]], concurrency: int) -> Batch:
    """All of them, each as soon as there is room. Raises RuntimeError when one fails."""
    started: dict[int, tuple[float, list[str]]] = {}
    seconds: list[float] = []
    waiting = list(reversed(commands))
    begin = time.perf_counter()
    while waiting or started:
        while waiting and len(started) < concurrency:
            command = waiting.pop()
            before = time.perf_counter()
            pid = os.posix_spawn(command[0], command, ENVIRONMENT, file_actions=_QUIET)
            started[pid] = before, command
        pid, status = os.wait()
        before, command = started.pop(pid)
        seconds.append(time.perf_counter() - before)
        if status != 0:
            for other in started:
                os.waitpid(other, 0)
            code = os.waitstatus_to_exitcode(status)
            raise RuntimeError(f"{' '.join(command)} ended with {code}")
    return Batch(seconds, time.perf_counter() - begin)
