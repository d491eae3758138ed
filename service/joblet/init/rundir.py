"""A job's directory below /run/joblet/jobs, as its supervisors write it, and the news of it.

A record appears by rename, so it is whole or absent.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import time

from joblet.init import procfs
from joblet.records import poke
from joblet.records.exit import ExitRecord
from joblet.records.run import Process, RunRecord

# What pidfd_open(2) says of a number that nobody has, and of one that is a thread's by now: EINVAL,
# and ENOENT on newer kernels.
_NO_PROCESS = (errno.ESRCH, errno.EINVAL, errno.ENOENT)


def write_record(run_dir: int, name: str, data: bytes) -> None:
    """Put a record in place. Raises OSError."""
    new = name + ".new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    fd = os.open(new, flags, 0o600, dir_fd=run_dir)
    try:
        if os.write(fd, data) != len(data):
            raise OSError(28, "no space for a record", name)
    finally:
        os.close(fd)
    os.rename(new, name, src_dir_fd=run_dir, dst_dir_fd=run_dir)


def forget(run_dir: int) -> None:
    """Take back the run record of a job that never began. Idempotent."""
    try:
        os.unlink("run", dir_fd=run_dir)
    except FileNotFoundError:
        pass


def is_recorded(run_dir: int) -> bool:
    """Whether the end of the job is written down."""
    try:
        os.stat("exit", dir_fd=run_dir)
    except FileNotFoundError:
        return False
    return True


def tell(poke_socket: socket.socket, job_id: str, poke_path: bytes) -> None:
    """Poke jobletd; waits while its queue is full.

    Without a socket there is no jobletd, and the next one reads the records when it starts.
    """
    try:
        poke_socket.sendto(poke.encode(job_id), poke_path)
    except (FileNotFoundError, ConnectionRefusedError):
        pass


def open_process(process: Process) -> int:
    """A pidfd of exactly this process, or -1 if it is gone."""
    try:
        fd = os.pidfd_open(process.pid)
    except OSError as err:
        if err.errno not in _NO_PROCESS:
            raise
        return -1
    # opened first, then checked: a pid that was reused in between shows another start time
    try:
        same = procfs.start_ticks(process.pid) == process.start_ticks
    except OSError:
        same = False
    if same:
        return fd
    os.close(fd)
    return -1


def write_off(run_dir: int, job_id: str, run: RunRecord, poke_socket: socket.socket) -> None:
    """End a job that nobody can supervise any more, and say that its status is lost.

    Its output has no reader, so going on would only do damage unseen. An end that is recorded
    already is the true one. Raises OSError.
    """
    if is_recorded(run_dir):
        tell(poke_socket, job_id, run.poke_path)
        return
    first = open_process(run.first)
    if first >= 0:
        try:
            signal.pidfd_send_signal(first, signal.SIGKILL)
        except ProcessLookupError:
            # it ended while we looked
            pass
        os.close(first)
    record = ExitRecord()
    record.started_ns = run.started_ns
    record.term_seen_ns = run.term_seen_ns
    record.finished_ns = time.time_ns()
    record.status_lost = True
    write_record(run_dir, "exit", record.encode())
    tell(poke_socket, job_id, run.poke_path)
