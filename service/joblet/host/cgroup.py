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
_READ_MAX = 1 << 16


def read(
    jobs: Sequence[Job], cgroups: str = CGROUP_ROOT, proc: str = "/proc"
) -> tuple[HostUsage, list[Usage]]:
    """Of the host and of each of these jobs. Raises HostFailure."""
    try:
        return _host(proc), [_job(f"{cgroups}/{_place(job)}") for job in jobs]
    except OSError as err:
        raise HostFailure("read what is used", err.errno or 0, str(err.filename)) from err


def _place(job: Job) -> str:
    assert job.shard is not None  # noqa: S101
    return f"{JOBS_SLICE}/{shard_slice(job.shard)}/{scope_name(job.id)}"


def _job(cgroup: str) -> Usage:
    io = _text(f"{cgroup}/io.stat")
    return Usage(
        cpu_usec=_keyed(_text(f"{cgroup}/cpu.stat"), "usage_usec"),
        memory_bytes=_number(_text(f"{cgroup}/memory.current")),
        tasks=_tasks(cgroup),
        io_read_bytes=None if io is None else _sum(io, "rbytes="),
        io_write_bytes=None if io is None else _sum(io, "wbytes="),
    )


def _tasks(cgroup: str) -> int | None:
    count = _number(_text(f"{cgroup}/pids.current"))
    if count is None:
        # without the controller they can still be counted
        threads = _text(f"{cgroup}/cgroup.threads")
        count = None if threads is None else threads.count("\n")
    return None if count is None else max(0, count - _ANCHORS)


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


def _text(path: str) -> str | None:
    """The text of a counter, or None where there is none (any more)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return _whole(fd)
    except OSError as err:
        # the cgroup went while its file was open (kernfs)
        if err.errno == errno.ENODEV:
            return None
        raise
    finally:
        os.close(fd)


def _whole(fd: int) -> str:
    parts = []
    while part := os.read(fd, _READ_MAX):
        parts.append(part)
    return b"".join(parts).decode("ascii")


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _keyed(text: str | None, key: str) -> int | None:
    for line in (text or "").splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return None


def _sum(text: str, key: str) -> int:
    return sum(int(word[len(key) :]) for word in text.split() if word.startswith(key))
