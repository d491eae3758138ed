"""What a job used at one moment, and how fast between two of them. Pure.

Counters count from the start of the job. What is None is not known: the host does not count it, or
a job of this kind has none of it. Nothing here is ever zero because it could not be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace

# Hundredths of a percent, as the kernel tells pressure (Documentation/accounting/psi.rst).
_PRESSURE_WORDS = ("avg10", "avg60", "avg300")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIo:
    """What a job moved to and from one block device."""

    device: str  # MAJOR:MINOR
    read_bytes: int
    write_bytes: int
    discard_bytes: int
    read_ops: int
    write_ops: int
    discard_ops: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One moment of one job; its fields are the keys of Monitor.GetJobMetrics.

    The last sample of a job that has ended is `final`: its totals, those of its record.
    """

    number: int = 0  # in the life of the job, from 1 on
    time_usec: int
    final: bool = False
    # Counters and levels; these, and `devices`, are what is stored.
    clock_usec: int | None = None  # only goes forward, whoever sets the time of day
    cpu_usec: int | None = None
    cpu_user_usec: int | None = None
    cpu_system_usec: int | None = None
    cpu_periods: int | None = None
    cpu_throttled_periods: int | None = None
    cpu_throttled_usec: int | None = None
    cpu_some_avg10: int | None = None
    cpu_some_avg60: int | None = None
    cpu_some_avg300: int | None = None
    cpu_full_avg10: int | None = None
    cpu_full_avg60: int | None = None
    cpu_full_avg300: int | None = None
    memory_bytes: int | None = None
    memory_peak_bytes: int | None = None
    memory_anon_bytes: int | None = None
    memory_file_bytes: int | None = None
    memory_kernel_stack_bytes: int | None = None
    memory_slab_bytes: int | None = None
    memory_sock_bytes: int | None = None
    memory_shmem_bytes: int | None = None
    memory_file_mapped_bytes: int | None = None
    memory_file_dirty_bytes: int | None = None
    memory_file_writeback_bytes: int | None = None
    page_faults: int | None = None
    major_page_faults: int | None = None
    oom_events: int | None = None
    oom_kills: int | None = None
    memory_some_avg10: int | None = None
    memory_some_avg60: int | None = None
    memory_some_avg300: int | None = None
    memory_full_avg10: int | None = None
    memory_full_avg60: int | None = None
    memory_full_avg300: int | None = None
    io_read_bytes: int | None = None
    io_write_bytes: int | None = None
    io_discard_bytes: int | None = None
    io_read_ops: int | None = None
    io_write_ops: int | None = None
    io_discard_ops: int | None = None
    io_some_avg10: int | None = None
    io_some_avg60: int | None = None
    io_some_avg300: int | None = None
    io_full_avg10: int | None = None
    io_full_avg60: int | None = None
    io_full_avg300: int | None = None
    tasks: int | None = None  # processes and threads
    task_limit_hits: int | None = None
    # The limits in force at that moment; 0 is none.
    max_cpu: int | None = None
    max_memory: int | None = None
    max_io_bps: int | None = None
    max_tasks: int | None = None
    # What the sample before it makes of it (see `rated`).
    interval_usec: int | None = None
    cpu_percent: float | None = None  # 100 is one whole CPU
    cpu_throttled_percent: float | None = None  # of the time
    io_read_bytes_per_s: float | None = None
    io_write_bytes_per_s: float | None = None
    io_read_ops_per_s: float | None = None
    io_write_ops_per_s: float | None = None
    # Those that it moved anything to or from; None where IO is not counted.
    devices: tuple[DeviceIo, ...] | None = None

    @property
    def memory_percent(self) -> float | None:
        """How much of its limit the memory of the job is; None without a limit."""
        if self.memory_bytes is None or not self.max_memory:
            return None
        return 100 * self.memory_bytes / self.max_memory


_RATES = {
    "io_read_bytes_per_s": "io_read_bytes",
    "io_write_bytes_per_s": "io_write_bytes",
    "io_read_ops_per_s": "io_read_ops",
    "io_write_ops_per_s": "io_write_ops",
}
_NOT_STORED = {
    "number",
    "time_usec",
    "final",
    "interval_usec",
    "cpu_percent",
    "cpu_throttled_percent",
    "devices",
    *_RATES,
}
# Numbers that a file of samples keeps, by name.
STORED = tuple(part.name for part in fields(Sample) if part.name not in _NOT_STORED)
# Of these the stored number is in hundredths of what is meant.
HUNDREDTHS = frozenset(name for name in STORED if name.endswith(_PRESSURE_WORDS))


def rated(samples: Iterable[Sample], *, started_usec: int | None) -> Iterator[Sample]:
    """The samples of one job, oldest first, each with its rates since the one before.

    Those of the first one are since the start of the job, when every counter was zero.
    """
    before = None
    if started_usec is not None:
        zero = dict.fromkeys(("cpu_usec", "cpu_throttled_usec", *_RATES.values()), 0)
        before = Sample(time_usec=started_usec, **zero)  # type: ignore[arg-type]
    for sample in samples:
        yield sample if before is None else _since(before, sample)
        before = sample


def _since(before: Sample, now: Sample) -> Sample:
    if before.clock_usec is not None and now.clock_usec is not None:
        span_usec = now.clock_usec - before.clock_usec
    else:
        span_usec = now.time_usec - before.time_usec
    if span_usec <= 0:
        return now
    cpu = _growth(before.cpu_usec, now.cpu_usec)
    throttled = _growth(before.cpu_throttled_usec, now.cpu_throttled_usec)
    found: dict[str, float | None] = {
        "cpu_percent": None if cpu is None else 100 * cpu / span_usec,
        "cpu_throttled_percent": None if throttled is None else 100 * throttled / span_usec,
    }
    for rate, counter in _RATES.items():
        more = _growth(getattr(before, counter), getattr(now, counter))
        found[rate] = None if more is None else 1e6 * more / span_usec
    return replace(now, interval_usec=span_usec, **found)  # type: ignore[arg-type]


def _growth(before: int | None, now: int | None) -> int | None:
    return None if before is None or now is None else max(0, now - before)
