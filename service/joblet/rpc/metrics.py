"""Samples of jobs as messages of both metrics dialects. Pure.

A scalar of this wire cannot be unknown, so it is 0 there. A group can: memory and IO are left out
where the host counts nothing of them, network and GPUs because no job has any yet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from joblet.model.metrics import DeviceIo, Sample
from joblet.rpc.pb import joblet_pb2 as pb

# What a summary is of when the client leaves it to us.
PERIOD_DEFAULT_S = 300
_INT32_MAX = (1 << 31) - 1


def flat(job_id: str, sample: Sample) -> pb.JobMetricsEvent:
    """One sample as clients from 2.5.3 on read it."""
    return pb.JobMetricsEvent(
        timestamp=sample.time_usec * 1000,
        job_uuid=job_id,
        cpu_percent=sample.cpu_percent or 0,
        memory_bytes=sample.memory_bytes or 0,
        memory_limit=sample.max_memory or 0,
        disk_read_bytes=sample.io_read_bytes or 0,
        disk_write_bytes=sample.io_write_bytes or 0,
    )


def nested(job_id: str, sample: Sample) -> pb.JobMetricsSample:
    """One sample as clients up to 2.5.0 read it."""
    interval_s = round((sample.interval_usec or 0) / 1e6)
    made = pb.JobMetricsSample(
        job_id=job_id,
        timestamp=sample.time_usec // 1_000_000,
        sample_interval_seconds=min(max(1, interval_s), _INT32_MAX),
        cpu=_cpu(sample),
        process=pb.JobProcessMetrics(
            current=sample.tasks or 0,
            max=sample.max_tasks or 0,
            events=sample.task_limit_hits or 0,
            threads=sample.tasks or 0,
        ),
        limits=pb.JobResourceLimits(
            cpu=min(sample.max_cpu or 0, _INT32_MAX),
            memory=sample.max_memory or 0,
            io=min(sample.max_io_bps or 0, _INT32_MAX),
        ),
    )
    if sample.memory_bytes is not None or sample.memory_peak_bytes is not None:
        made.memory.CopyFrom(_memory(sample))
    if sample.io_read_bytes is not None or sample.io_write_bytes is not None:
        made.io.CopyFrom(_io(sample))
    return made


def _pressure(sample: Sample, resource: str) -> dict[str, float]:
    return {
        f"pressure_{kind}{span}": (getattr(sample, f"{resource}_{kind}_avg{span}") or 0) / 100
        for kind in ("some", "full")
        for span in (10, 60, 300)
    }


def _cpu(sample: Sample) -> pb.JobCPUMetrics:
    return pb.JobCPUMetrics(
        usage_usec=sample.cpu_usec or 0,
        user_usec=sample.cpu_user_usec or 0,
        system_usec=sample.cpu_system_usec or 0,
        nr_periods=sample.cpu_periods or 0,
        nr_throttled=sample.cpu_throttled_periods or 0,
        throttled_usec=sample.cpu_throttled_usec or 0,
        usage_percent=sample.cpu_percent or 0,
        throttle_percent=sample.cpu_throttled_percent or 0,
        **_pressure(sample, "cpu"),
    )


def _memory(sample: Sample) -> pb.JobMemoryMetrics:
    return pb.JobMemoryMetrics(
        current=sample.memory_bytes or 0,
        max=sample.max_memory or 0,
        usage_percent=sample.memory_percent or 0,
        anon=sample.memory_anon_bytes or 0,
        file=sample.memory_file_bytes or 0,
        kernel_stack=sample.memory_kernel_stack_bytes or 0,
        slab=sample.memory_slab_bytes or 0,
        sock=sample.memory_sock_bytes or 0,
        shmem=sample.memory_shmem_bytes or 0,
        file_mapped=sample.memory_file_mapped_bytes or 0,
        file_dirty=sample.memory_file_dirty_bytes or 0,
        file_writeback=sample.memory_file_writeback_bytes or 0,
        pg_fault=sample.page_faults or 0,
        pg_maj_fault=sample.major_page_faults or 0,
        oom_events=sample.oom_events or 0,
        oom_kill=sample.oom_kills or 0,
        **_pressure(sample, "memory"),
    )


def _io(sample: Sample) -> pb.JobIOMetrics:
    return pb.JobIOMetrics(
        devices={device.device: _device(device) for device in sample.devices or ()},
        total_read_bytes=sample.io_read_bytes or 0,
        total_write_bytes=sample.io_write_bytes or 0,
        total_read_ops=sample.io_read_ops or 0,
        total_write_ops=sample.io_write_ops or 0,
        total_discard_bytes=sample.io_discard_bytes or 0,
        total_discard_ops=sample.io_discard_ops or 0,
        read_bps=sample.io_read_bytes_per_s or 0,
        write_bps=sample.io_write_bytes_per_s or 0,
        read_iops=sample.io_read_ops_per_s or 0,
        write_iops=sample.io_write_ops_per_s or 0,
        **_pressure(sample, "io"),
    )


def _device(device: DeviceIo) -> pb.DeviceIOMetrics:
    return pb.DeviceIOMetrics(
        device=device.device,
        read_bytes=device.read_bytes,
        write_bytes=device.write_bytes,
        read_ops=device.read_ops,
        write_ops=device.write_ops,
        discard_bytes=device.discard_bytes,
        discard_ops=device.discard_ops,
    )


def summary(samples: Sequence[Sample], period_s: int) -> pb.JobMetricsSummaryResponse:
    """The last seconds of a job's life in figures; what is not counted is left out."""
    made = pb.JobMetricsSummaryResponse()
    if not samples:
        return made
    begin_usec = samples[-1].time_usec - (period_s or PERIOD_DEFAULT_S) * 1_000_000
    recent = [sample for sample in samples if sample.time_usec >= begin_usec]
    for part, read in (
        (made.cpu, lambda one: one.cpu_percent),
        (made.memory, lambda one: one.memory_bytes),
        (made.io, _moved),
    ):
        values = sorted(value for one in recent if (value := read(one)) is not None)
        if values:
            part.CopyFrom(_aggregate(values))
    return made


def _moved(sample: Sample) -> float | None:
    paces = (sample.io_read_bytes_per_s, sample.io_write_bytes_per_s)
    known = [pace for pace in paces if pace is not None]
    return sum(known) if known else None


def _aggregate(ordered: Sequence[float]) -> pb.JobMetricsAggregate:
    def at(percent: int) -> float:
        # the nearest rank: a value that there was
        return ordered[math.ceil(percent / 100 * len(ordered)) - 1]

    return pb.JobMetricsAggregate(
        min=ordered[0],
        max=ordered[-1],
        avg=math.fsum(ordered) / len(ordered),
        p50=at(50),
        p95=at(95),
        p99=at(99),
    )
