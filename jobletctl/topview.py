"""What `top` shows of two looks at the same host: rates, and a table of them. Pure.

A rate needs a job to be in both looks; of one that has begun in between nothing is said yet.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from joblet.client.looks import (
    JobUsage,
    UsageReport,
)
from jobletctl import jobview
from jobletctl.jobview import NOTHING, size

TITLES = ("ID", "CPU%", "MEMORY", "TASKS", "READ/s", "WRITE/s", "TIME", "COMMAND")
WIDE_TITLES = ("NAME", "OWNER", "CPU TIME", "MAX CPU", "MAX MEM")
NUMBERS = ("CPU%", "MEMORY", "TASKS", "READ/s", "WRITE/s", "TIME", "CPU TIME", "MAX CPU", "MAX MEM")
ELASTIC = ("NAME", "OWNER")


@dataclass(frozen=True, slots=True)
class Line:
    """One job between two looks; None is not known (yet)."""

    job: JobUsage
    cpu_percent: float | None  # 100 is one whole CPU
    read_per_s: float | None
    written_per_s: float | None

    def record(self) -> dict[str, object]:
        """All of it as JSON has it."""
        told = {
            **asdict(self.job),
            "cpu_percent": _rounded(self.cpu_percent),
            "io_read_bytes_per_s": _rounded(self.read_per_s),
            "io_write_bytes_per_s": _rounded(self.written_per_s),
        }
        return {key: value for key, value in told.items() if value is not None}


def lines(before: UsageReport, now: UsageReport) -> list[Line]:
    """One for each job of the later look."""
    span_usec = now.clock_usec - before.clock_usec
    earlier = {job.id: job for job in before.jobs}
    return [_line(earlier.get(job.id), job, span_usec) for job in now.jobs]


def host_cpu_percent(before: UsageReport, now: UsageReport) -> float | None:
    """How busy the CPUs of the host were in between: 100 is all of them."""
    rate = _rate(before.host.cpu_usec, now.host.cpu_usec, now.clock_usec - before.clock_usec)
    return None if rate is None else min(100.0, 100 * rate / 1e6 / max(1, now.host.cpus))


def _line(before: JobUsage | None, job: JobUsage, span_usec: int) -> Line:
    def rate(read: Callable[[JobUsage], int | None]) -> float | None:
        return None if before is None else _rate(read(before), read(job), span_usec)

    cpu = rate(lambda one: one.cpu_usec)
    return Line(
        job,
        None if cpu is None else cpu / 1e4,
        rate(lambda one: one.io_read_bytes),
        rate(lambda one: one.io_write_bytes),
    )


def _rate(before: int | None, now: int | None, span_usec: int) -> float | None:
    """Per second."""
    if before is None or now is None or span_usec <= 0:
        return None
    return max(0, now - before) * 1e6 / span_usec


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


# The largest first, but for what is read from a to z.
ORDERS: Mapping[str, Callable[[Line], tuple[bool, float | str]]] = {
    "cpu": lambda one: _largest(one.cpu_percent),
    "memory": lambda one: _largest(one.job.memory_bytes),
    "tasks": lambda one: _largest(one.job.tasks),
    "read": lambda one: _largest(one.read_per_s),
    "written": lambda one: _largest(one.written_per_s),
    "time": lambda one: (one.job.started_usec is None, float(one.job.started_usec or 0)),
    "name": lambda one: (not one.job.name, one.job.name),
    "owner": lambda one: (False, jobview.owner(one.job.owner_uid)),
}


def _largest(value: float | None) -> tuple[bool, float]:
    return value is None, -(value or 0)


def titles(*, wide: bool) -> tuple[str, ...]:
    """The titles above rows."""
    return (*TITLES[:-1], *WIDE_TITLES, TITLES[-1]) if wide else TITLES


def rows(
    shown: Sequence[Line], now_usec: int, *, wide: bool, here: bool = True
) -> list[tuple[str, ...]]:
    """One row per job, below titles; here: they are of this host, where a uid has a name."""
    short = jobview.short_ids([one.job.id for one in shown])
    return [
        _row(one, now_usec, job_id, wide, here) for job_id, one in zip(short, shown, strict=True)
    ]


def _row(one: Line, now_usec: int, job_id: str, wide: bool, here: bool) -> tuple[str, ...]:
    job = one.job
    ran_usec = None if job.started_usec is None else max(0, now_usec - job.started_usec)
    return (
        job_id,
        NOTHING if one.cpu_percent is None else f"{one.cpu_percent:.1f}",
        _size(job.memory_bytes),
        NOTHING if job.tasks is None else str(job.tasks),
        _size(one.read_per_s),
        _size(one.written_per_s),
        NOTHING if ran_usec is None else jobview.elapsed(ran_usec),
        *(_wide(job, here) if wide else ()),
        shlex.join([job.command, *job.args]),
    )


def _wide(job: JobUsage, here: bool) -> tuple[str, ...]:
    return (
        job.name or NOTHING,
        jobview.owner(job.owner_uid) if here else str(job.owner_uid),
        NOTHING if job.cpu_usec is None else jobview.elapsed(job.cpu_usec),
        f"{job.max_cpu}%" if job.max_cpu else NOTHING,
        _size(job.max_memory or None),
    )


def _size(count: float | None) -> str:
    return NOTHING if count is None else size(round(count))


def head(before: UsageReport, now: UsageReport) -> list[str]:
    """The lines on the host."""
    host = now.host
    busy = host_cpu_percent(before, now)
    used = host.memory_bytes - host.memory_available_bytes
    parts = [
        f"{host.cpus} CPUs" + ("" if busy is None else f" {busy:.0f}% busy"),
        f"{size(used)} of {size(host.memory_bytes)} used",
        f"load {host.load:.2f}",
        f"{host.tasks} tasks",
    ]
    hidden = host.running_jobs - len(now.jobs)
    others = f" ({hidden} not yours to see)" if hidden > 0 else ""
    jobs = f"{host.running_jobs} jobs running{others}, {host.waiting_jobs} waiting"
    return [f"{host.hostname}: {', '.join(parts)}", jobs]
