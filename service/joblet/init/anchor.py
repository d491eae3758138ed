"""The anchor: a process in the job's scope, outside its namespaces, that outlives the job by an
instant.

While it is there systemd cannot remove the cgroup, so the supervisor can still read what the job
used. It also witnesses a stop: systemd sends SIGTERM and then SIGCONT to every process of a scope
that it stops, which tells `systemctl stop` from a plain kill, whoever was running at the time.
It ends when it is told to, or when every copy of the other end of its socket is closed.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import time
from collections.abc import Iterator

from joblet.init import syscalls

RELEASE = b"R"
# The supervisor asks for what was seen so far; the answer ends with a time of 0.
QUERY = b"Q"
STOP_SEEN = struct.Struct("<q")  # time in ns since the epoch
_SIGINFO_SIZE = 128
_SIGNO_PID = struct.Struct("<I8xI")  # ssi_signo, ssi_errno, ssi_code, ssi_pid (signalfd(2))


def run(socket_fd: int) -> None:
    """Wait for the release. All signals are blocked, so only SIGKILL ends it early."""
    syscalls.set_process_name(b"joblet-anchor")
    syscalls.set_signal_mask(-1)
    mask = (1 << (signal.SIGTERM - 1)) | (1 << (signal.SIGCONT - 1))
    signal_fd = syscalls.signalfd(mask, os.O_CLOEXEC | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(socket_fd, select.POLLIN)
    poll.register(signal_fd, select.POLLIN)
    terminated = False
    while True:
        asked = False
        for fd, _events in poll.poll():
            if fd == socket_fd:
                if os.read(socket_fd, 1) != QUERY:
                    return
                asked = True
        for number in _signals_of_manager(signal_fd):
            if number == signal.SIGTERM:
                terminated = True
            elif terminated:
                terminated = False
                os.write(socket_fd, STOP_SEEN.pack(time.time_ns()))
        if asked:
            os.write(socket_fd, STOP_SEEN.pack(0))


def _signals_of_manager(signal_fd: int) -> Iterator[int]:
    while True:
        try:
            info = os.read(signal_fd, _SIGINFO_SIZE)
        except BlockingIOError:
            return
        number, sender = _SIGNO_PID.unpack_from(info)
        if sender == 1:
            yield number
