"""The anchor: a process in a job's scope, outside its namespaces, that outlives the job by an
instant.

While it is there systemd cannot remove the cgroup, so the supervisor can still read what the job
used. It also witnesses a stop: systemd sends SIGTERM and then SIGCONT to every process of a scope
that it stops, which tells `systemctl stop` from a plain kill, whoever was running at the time.

It has two sockets. Over the one to its home, the supervisor process that forked it, come jobs, each
as the job's own socket, which joblet-init holds a copy of. Released from a job it goes back into
the cgroup of its home and waits for the next. It ends with its home, but not while a job needs it,
and when every copy of the other end of a job's socket is closed.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import time
from collections.abc import Iterator

from joblet.init import syscalls
from joblet.init.passing import receive

RELEASE = b"R"
# The job ends before it was surely in a scope: whoever makes the scope now must not get an anchor
# that is at home already.
END = b"E"
# The supervisor asks for what was seen so far; the answer ends with a time of 0.
QUERY = b"Q"
STOP_SEEN = struct.Struct("<q")  # time in ns since the epoch
# What its home hears when it is back.
HOME = b"H"
_SIGINFO_SIZE = 128
_SIGNO_PID = struct.Struct("<I8xI")  # ssi_signo, ssi_errno, ssi_code, ssi_pid (signalfd(2))
# The cgroup that joblet-init puts supervisors into.
HOME_CGROUP = "/sys/fs/cgroup/joblet.slice/joblet-supervisors.service"


def run(home_fd: int) -> None:
    """Serve jobs. All signals are blocked, so only SIGKILL ends it early. Raises OSError."""
    syscalls.set_process_name(b"joblet-anchor")
    syscalls.set_signal_mask(-1)
    mask = (1 << (signal.SIGTERM - 1)) | (1 << (signal.SIGCONT - 1))
    signal_fd = syscalls.signalfd(mask, os.O_CLOEXEC | os.O_NONBLOCK)
    home = socket.socket(fileno=home_fd)
    while (job_fd := next_job(home)) >= 0:
        # what an earlier scope was told while it was left
        for _ in _signals_of_manager(signal_fd):
            continue
        if not serve(job_fd, signal_fd):
            return
        os.close(job_fd)
        with open(f"{HOME_CGROUP}/cgroup.procs", "wb", buffering=0) as procs:
            procs.write(b"0")
        try:
            home.send(HOME)
        except BrokenPipeError:
            return


def next_job(home: socket.socket) -> int:
    """The socket of the next job, or -1: there will be none."""
    try:
        word, fds, _flags = receive(home, 1, 1)
    except ConnectionResetError:
        # our home is gone, and had not read our last word
        return -1
    return fds[0] if word else -1


def serve(job_fd: int, signal_fd: int) -> bool:
    """Stay in the scope of a job until the release; False: nobody is left to give one."""
    poll = select.poll()
    poll.register(job_fd, select.POLLIN)
    poll.register(signal_fd, select.POLLIN)
    terminated = False
    while True:
        asked = False
        for fd, _events in poll.poll():
            if fd == job_fd:
                word = os.read(job_fd, 1)
                if word != QUERY:
                    return word == RELEASE
                asked = True
        for number in _signals_of_manager(signal_fd):
            if number == signal.SIGTERM:
                terminated = True
            elif terminated:
                terminated = False
                os.write(job_fd, STOP_SEEN.pack(time.time_ns()))
        if asked:
            os.write(job_fd, STOP_SEEN.pack(0))


def _signals_of_manager(signal_fd: int) -> Iterator[int]:
    while True:
        try:
            info = os.read(signal_fd, _SIGINFO_SIZE)
        except BlockingIOError:
            return
        number, sender = _SIGNO_PID.unpack_from(info)
        if sender == 1:
            yield number
