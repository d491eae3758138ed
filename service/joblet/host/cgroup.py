"""Reads what running jobs and the host use: counters of cgroups (cgroups(7)) and of /proc.

Nothing is kept and PID 1 is not asked. A counter whose controller the host lacks is unknown, as is
everything of a job whose cgroup is gone: it has ended.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence

from joblet.errors import HostFailure
from joblet.host.machine import CGROUP_ROOT, JOBS_SLICE
from joblet.model.ids import scope_name, shard_slice
from joblet.model.job import Job
from joblet.model.run import HostUsage, Usage

_USEC_PER_TICK = 1_000_000 // os.sysconf("SC_CLK_TCK")
# user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user (proc_stat(5))
_IDLE = (3, 4)
_STAT_COLUMNS = 8
# The anchor of each job is in its scope too, and is none of its tasks.
_ANCHORS = 1
_ANCHOR_NAME = b"joblet-anchor\n"
_READ_MAX = 1 << 13
# The kernel fills a page before it gives out a part of a file: what is far shorter is its end.
_READ_LEAST = 1 << 11


def read(
    jobs: Sequence[Job], cgroups: str = CGROUP_ROOT, proc: str = "/proc"
) -> tuple[HostUsage, list[Usage]]:
    """Of the host and of each of these jobs. Raises HostFailure."""
    try:
        return _host(proc), [_job(f"{cgroups}/{place(job)}") for job in jobs]
    except OSError as err:
        raise HostFailure("read what is used", err.errno or 0, str(err.filename)) from err


def place(job: Job) -> str:
    """The cgroup of a job that runs, below the root of them all."""
    assert job.shard is not None  # noqa: S101
    return f"{JOBS_SLICE}/{shard_slice(job.shard)}/{scope_name(job.id)}"


def _job(cgroup: str) -> Usage:
    io = text(f"{cgroup}/io.stat")
    return Usage(
        cpu_usec=_keyed(text(f"{cgroup}/cpu.stat"), "usage_usec"),
        memory_bytes=number(text(f"{cgroup}/memory.current")),
        tasks=tasks(f"{cgroup}/"),
        io_read_bytes=None if io is None else _sum(io, "rbytes="),
        io_write_bytes=None if io is None else _sum(io, "wbytes="),
    )


def tasks(directory: str, fd: int | None = None) -> int | None:
    """Processes and threads of a job; None where they cannot be told.

    directory: the path of its cgroup with a slash behind it, or "" when that is open as fd.
    """
    count = number(text(f"{directory}pids.current", fd))
    if count is None:
        # without the controller they can still be counted
        threads = text(f"{directory}cgroup.threads", fd)
        count = None if threads is None else threads.count("\n")
    return None if count is None else max(0, count - _ANCHORS)


def occupied(directory: int, proc: str = "/proc") -> bool:
    """Whether a process of the job lives, in its cgroup that is open.

    The kernel does not list one that has ended and was not waited for (cgroup-v2.rst), so where
    this is true the end of the job is yet to come, also for who waits for its first process.
    """
    # The first page is enough: of ten thousand processes two are of interest.
    pids = (data("cgroup.procs", directory, whole=False) or b"").split()
    if len(pids) != 1:
        return len(pids) > _ANCHORS
    # A job goes on without its anchor, if somebody has killed that.
    try:
        # bytes: a program calls itself what it likes
        name = data(f"{proc}/{int(pids[0])}/comm")
    except ProcessLookupError:
        return False
    return name not in (None, _ANCHOR_NAME)


def _host(proc: str) -> HostUsage:
    stat = _there(f"{proc}/stat")
    ticks = [int(word) for word in stat.split("\n", 1)[0].split()[1 : 1 + _STAT_COLUMNS]]
    memory = dict(_memory(_there(f"{proc}/meminfo").splitlines()))
    load, _, _, tasks, _ = _there(f"{proc}/loadavg").split()
    return HostUsage(
        hostname=os.uname().nodename,
        cpus=sum(line.startswith("cpu") for line in stat.splitlines()) - 1,
        cpu_usec=(sum(ticks) - sum(ticks[i] for i in _IDLE)) * _USEC_PER_TICK,
        memory_bytes=memory["MemTotal"],
        memory_available_bytes=memory["MemAvailable"],
        tasks=int(tasks.partition("/")[2]),
        load=float(load),
    )


def _memory(lines: Iterable[str]) -> Iterable[tuple[str, int]]:
    for line in lines:
        name, _, rest = line.partition(":")
        yield name, int(rest.split()[0]) * 1024


def _there(path: str) -> str:
    """The text of a file that every kernel has. Raises OSError."""
    with open(path, encoding="ascii") as file:
        return file.read()


def text(path: str, directory: int | None = None) -> str | None:
    """The text of a counter, or None where there is none (any more)."""
    found = data(path, directory)
    return None if found is None else found.decode("ascii")


def data(path: str, directory: int | None = None, *, whole: bool = True) -> bytes | None:
    """The same as bytes; the first part of them, a page or two, if it need not be whole."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    except OSError as err:
        # kernfs opens no file of a cgroup that is just going
        if err.errno in (errno.ENOENT, errno.ENODEV):
            return None
        raise
    try:
        part = found = os.read(fd, _READ_MAX)
        while whole and len(part) >= _READ_LEAST:
            part = os.read(fd, _READ_MAX)
            found += part
        return found
    except OSError as err:
        # the cgroup went while its file was open (kernfs), or the kernel keeps no pressure
        if err.errno in (errno.ENODEV, errno.EOPNOTSUPP):
            return None
        raise
    finally:
        os.close(fd)


def number(found: str | None) -> int | None:
    """A counter that is alone in its file."""
    return None if found is None else int(found)


def _keyed(found: str | None, key: str) -> int | None:
    for line in (found or "").splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return None


def _sum(found: str, key: str) -> int:
    return sum(int(word[len(key) :]) for word in found.split() if word.startswith(key))
