"""All counters of a running job, from the files of its cgroup (cgroup-v2.rst of the kernel).

What a file does not have is unknown: a controller that the host lacks, a counter of a newer kernel,
pressure where the kernel keeps none. `top` needs a few of them only, see cgroup.py.
"""

from __future__ import annotations

import os
import re
import time

from joblet.errors import HostFailure
from joblet.host import cgroup
from joblet.host.machine import CGROUP_ROOT
from joblet.model.job import Job
from joblet.model.metrics import DeviceIo, Sample

_CPU = {
    "usage_usec": "cpu_usec",
    "user_usec": "cpu_user_usec",
    "system_usec": "cpu_system_usec",
    "nr_periods": "cpu_periods",
    "nr_throttled": "cpu_throttled_periods",
    "throttled_usec": "cpu_throttled_usec",
}
_MEMORY = {
    "anon": "memory_anon_bytes",
    "file": "memory_file_bytes",
    "kernel_stack": "memory_kernel_stack_bytes",
    "slab": "memory_slab_bytes",
    "sock": "memory_sock_bytes",
    "shmem": "memory_shmem_bytes",
    "file_mapped": "memory_file_mapped_bytes",
    "file_dirty": "memory_file_dirty_bytes",
    "file_writeback": "memory_file_writeback_bytes",
    "pgfault": "page_faults",
    "pgmajfault": "major_page_faults",
}
_MEMORY_EVENTS = {"oom": "oom_events", "oom_kill": "oom_kills"}
_TASK_EVENTS = {"max": "task_limit_hits"}
_KEYED = tuple(
    # bytes, since a thousand jobs are not worth decoding
    (file, tuple((key.encode(), name) for key, name in wanted.items()))
    for file, wanted in (
        ("cpu.stat", _CPU),
        ("memory.stat", _MEMORY),
        ("memory.events", _MEMORY_EVENTS),
        ("pids.events", _TASK_EVENTS),
    )
)
_SINGLE = (("memory.current", "memory_bytes"), ("memory.peak", "memory_peak_bytes"))
_AVERAGES = re.compile(rb"(some|full) avg10=(\d+)\.(\d\d) avg60=(\d+)\.(\d\d) avg300=(\d+)\.(\d\d)")
_PRESSURES = tuple(
    (
        f"{resource}.pressure",
        {
            kind.encode(): tuple(f"{resource}_{kind}_avg{span}" for span in (10, 60, 300))
            for kind in ("some", "full")
        },
    )
    for resource in ("cpu", "memory", "io")
)
_IO = {
    "rbytes": "read_bytes",
    "wbytes": "write_bytes",
    "dbytes": "discard_bytes",
    "rios": "read_ops",
    "wios": "write_ops",
    "dios": "discard_ops",
}
# Of more the busiest are told one by one; the sums have all of them.
_DEVICES_MAX = 8


class JobCounters:
    """The cgroups of jobs: core.ports.MetricsHost. Blocks, and may be used in any thread."""

    def __init__(self, cgroups: str = CGROUP_ROOT, proc: str = "/proc") -> None:
        self._cgroups = cgroups
        self._proc = proc

    def sample(self, job: Job) -> Sample | None:
        """What a job that runs has used up to now; None when it has ended, known to us or not.

        A job without a process is over, also where its supervisor has yet to say so: a sample
        would be later than the end that its record has. Raises HostFailure.
        """
        path = f"{self._cgroups}/{cgroup.place(job)}"
        try:
            try:
                directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            try:
                # Right before the counter of CPU time, so that a rate has no pause of ours in it.
                time_usec, clock_usec = time.time_ns() // 1000, time.monotonic_ns() // 1000
                values, devices = _counters(directory)
                tasks = cgroup.tasks("", directory)
                if not values or not cgroup.occupied(directory, self._proc):
                    return None
            finally:
                os.close(directory)
        except OSError as err:
            raise HostFailure("read the counters of a job", err.errno or 0, path) from err
        spec = job.spec
        return Sample(
            time_usec=time_usec,
            clock_usec=clock_usec,
            tasks=tasks,
            max_cpu=spec.max_cpu,
            max_memory=spec.max_memory,
            max_io_bps=spec.max_io_bps,
            max_tasks=spec.max_tasks,
            devices=devices,
            **values,  # type: ignore[arg-type]
        )


def _counters(directory: int) -> tuple[dict[str, int], tuple[DeviceIo, ...] | None]:
    values: dict[str, int] = {}
    for file, wanted in _KEYED:
        told = cgroup.data(file, directory)
        if not told:
            continue
        words = told.split()
        found = dict(zip(words[::2], words[1::2], strict=False))
        for key, name in wanted:
            if key in found:
                values[name] = int(found[key])
    for file, name in _SINGLE:
        told = cgroup.data(file, directory)
        if told:
            values[name] = int(told)
    for file, names in _PRESSURES:
        # Hundredths of a percent: avg10=0.12 is 12.
        for kind, *parts in _AVERAGES.findall(cgroup.data(file, directory) or b""):
            for name, whole, part in zip(names[kind], parts[::2], parts[1::2], strict=True):
                values[name] = int(whole + part)
    told = cgroup.data("io.stat", directory)
    if told is None:
        return values, None
    devices = _devices(told.decode("ascii"))
    for part in _IO.values():
        values[f"io_{part}"] = sum(getattr(device, part) for device in devices)
    if len(devices) > _DEVICES_MAX:
        devices.sort(key=lambda device: device.read_bytes + device.write_bytes, reverse=True)
    return values, tuple(devices[:_DEVICES_MAX])


def _devices(told: str) -> list[DeviceIo]:
    """`MAJOR:MINOR rbytes=… wbytes=… …`, a line per device."""
    devices = []
    for line in told.splitlines():
        number, *words = line.split()
        found = dict(word.split("=", 1) for word in words if "=" in word)
        # A device that was only looked at has a line without numbers.
        if found:
            counts = {name: int(found.get(key, 0)) for key, name in _IO.items()}
            devices.append(DeviceIo(device=number, **counts))
    return devices
