"""Processes named by pid and start time, and what they catch (proc(5))."""

from __future__ import annotations

import errno
import os
import signal
import time

from joblet.records.run import Process

# What pidfd_open(2) says of a number that nobody has, and of one that is a thread's by now: EINVAL,
# and ENOENT on newer kernels.
_NO_PROCESS = (errno.ESRCH, errno.EINVAL, errno.ENOENT)


def is_alive(process: Process) -> bool:
    """True while exactly this process exists; a zombie has ended."""
    fields = _stat(process.pid)
    return fields is not None and int(fields[19]) == process.start_ticks and fields[0] not in "ZX"


def age_usec(process: Process) -> int:
    """How long ago it was made, also when it has ended; to a hundredth of a second."""
    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    return round((now_s - process.start_ticks / os.sysconf("SC_CLK_TCK")) * 1_000_000)


def kill(process: Process) -> bool:
    """SIGKILL to exactly this process; False if it is gone."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError as err:
        if err.errno not in _NO_PROCESS:
            raise
        return False
    try:
        # opened first, then compared: a pid reused in between shows another start time
        fields = _stat(process.pid)
        if fields is None or int(fields[19]) != process.start_ticks:
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)
    return True


def members(cgroup_directory: str) -> list[int]:
    """The pids of a cgroup and of those below it; empty when it is gone."""
    pids: list[int] = []
    for directory, _names, _files in os.walk(cgroup_directory):
        try:
            with open(f"{directory}/cgroup.procs", encoding="ascii") as file:
                pids += [int(line) for line in file]
        except OSError:
            # it went away between listing and reading
            continue
    return pids


def catches_sigterm(pid: int) -> bool:
    """True if the process has a handler for SIGTERM; one that is gone has none."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("SigCgt:"):
                    return bool(int(line.split()[1], 16) & (1 << (signal.SIGTERM - 1)))
    except (FileNotFoundError, ProcessLookupError):
        return False
    return False


def cgroup_of(pid: int) -> str | None:
    """The cgroup v2 path of a process, or None if it has ended."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            for line in file:
                if line.startswith("0::"):
                    return line[3:].rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None


def _stat(pid: int) -> list[str] | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
